"""Where publishers wait for a full BLOCK listener, and what becomes of one that takes nothing.

loop    waits for                     unblocked by
------  ----------------------------  ------------------------------------------------
`pass_`  room in a full BLOCK buffer   its reader; its end; `block_s`, whatever happens
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.bus.inlet import Inlet
    from altlas_agent.core.bus.routes import Route


class Gate:
    """Holds publishers back while a BLOCK buffer is full, for `block_s` seconds at most."""

    def __init__(self, block_s: float) -> None:
        self.block_s = block_s
        self.waiting = 0

    async def wait(self, route: Callable[[], Route], size: int) -> None:
        """Wait until every BLOCK listener of the route has room for `size` bytes.

        A listener that takes nothing in all that time is cut off, and the publisher goes on. Raises
        DeadlineExceeded when it declared a pause, or is at work and merely slow: it keeps what it has,
        and nobody gets the event.
        """
        full = route().first_full(size)
        taken = {inlet.name: inlet.taken for inlet in route().blocking}
        self.waiting += 1
        try:
            with anyio.move_on_after(self.block_s):
                while full is not None:
                    await full.wait_for_room(route().lane, size)
                    full = route().first_full(size)
        finally:
            self.waiting -= 1
        while full is not None:
            self._give_up(full, has_moved=full.taken != taken.get(full.name, full.taken))
            full = route().first_full(size)

    def _give_up(self, inlet: Inlet, *, has_moved: bool) -> None:
        capacity = inlet.terms.capacity
        if inlet.pause_reason or has_moved:
            why = f"it is paused: {inlet.pause_reason}" if inlet.pause_reason else "it is slow"
            what = f"the bus (its queue of {capacity} events is full; {why})"
            raise DeadlineExceeded(inlet.name, what, self.block_s)
        inlet.cut(f"it took nothing for {self.block_s:g} s while a publisher waited for it")
