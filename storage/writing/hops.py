"""From a thread to the event loop that it serves, without waiting there: the loop comes to it when it can.

anyio's own way waits for the answer and makes an object for it, which costs as much as storing some rows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import sniffio

if TYPE_CHECKING:
    from collections.abc import Callable


class Hop(Protocol):
    """Calls a function on an event loop soon, in the order of the calls; nothing happens when the loop is gone."""

    def __call__(self, function: Callable[..., object], *words: object) -> None: ...


def hop() -> Hop:
    """A way to the event loop that runs now, for other threads."""
    return _to_trio() if sniffio.current_async_library() == "trio" else _to_asyncio()


def _to_asyncio() -> Hop:
    import asyncio  # whoever is here has it

    loop = asyncio.get_running_loop()

    def call(function: Callable[..., object], *words: object) -> None:
        with suppress(RuntimeError):  # it is closed, and with it everybody who could wait
            loop.call_soon_threadsafe(function, *words)

    return call


def _to_trio() -> Hop:
    import trio  # whoever is here has it, and others need not

    token = trio.lowlevel.current_trio_token()

    def call(function: Callable[..., object], *words: object) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(function, *words)

    return call
