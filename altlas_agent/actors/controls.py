"""What people ask of a training loop, and where it looks: between two steps.

loop      waits for           unblocked by
--------  ------------------  -------------------------------------------
passable  the end of a pause  `resume`, `stop`; a checkpoint asked for
saved     the checkpoint      the loop, between two steps, or its end
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import RunRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from altlas_agent.core.events import CheckpointSaved
    from altlas_agent.core.requests import ResetWeights


class Controls:
    """Requests to one loop. Asking changes nothing by itself; the loop takes what it finds."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_paused = False
        self.wants_checkpoint = False
        self._on_stop: Callable[[], None] = _nothing
        self._steers: list[Mapping[str, object]] = []
        self._resets: list[ResetWeights] = []
        self._changed = anyio.Event()
        self._saved: CheckpointSaved | None = None
        self._why_not = ""
        self._has_ended = False

    def stop(self) -> None:
        """End the loop, with a checkpoint; asking twice is no error."""
        self.is_stopping = True
        self._on_stop()
        self._tell()

    def pause(self) -> None:
        """Take no further step; what is under way is finished."""
        self.is_paused = True
        self._tell()

    def resume(self) -> None:
        """Go on after a pause."""
        self.is_paused = False
        self._tell()

    def steer(self, changes: Mapping[str, object]) -> None:
        """Change live settings before the next step. The changes were checked before."""
        self._steers.append(dict(changes))
        self._tell()

    def reset(self, request: ResetWeights) -> None:
        """Have weights drawn anew before the next step."""
        self._resets.append(request)
        self._tell()

    async def saved(self) -> CheckpointSaved:
        """Have a checkpoint written between two steps.

        Raises RunRefusedError when the loop has ended, or could not write it for now.
        """
        self._saved, self._why_not, self.wants_checkpoint = None, "", True
        self._tell()
        while self._saved is None:
            if self._why_not:
                raise RunRefusedError(self._why_not)
            if self._has_ended:
                raise RunRefusedError("the run has ended; its last checkpoint was written then")
            await self._changed.wait()
        return self._saved

    def take_steers(self) -> list[Mapping[str, object]]:
        """What was asked for since the last time, oldest first."""
        steers, self._steers = self._steers, []
        return steers

    def take_resets(self) -> list[ResetWeights]:
        """What was asked for since the last time, oldest first."""
        resets, self._resets = self._resets, []
        return resets

    async def passable(self) -> None:
        """Wait while the loop is paused and nothing else is asked of it."""
        while self.is_paused and not self.is_stopping and not self.wants_checkpoint:
            await self._changed.wait()

    def on_stop(self, interrupt: Callable[[], None]) -> None:
        """Have `interrupt` called by `stop`, at once when it was called before."""
        self._on_stop = interrupt
        if self.is_stopping:
            interrupt()

    def tell_begun(self) -> None:
        """A loop looks from now on."""
        self._has_ended = False

    def tell_saved(self, saved: CheckpointSaved) -> None:
        """The loop wrote a checkpoint."""
        self._saved, self.wants_checkpoint = saved, False
        self._tell()

    def tell_unsaved(self, why: str) -> None:
        """The loop could not write one."""
        self._why_not, self.wants_checkpoint = why, False
        self._tell()

    def tell_ended(self) -> None:
        """The loop looks no more."""
        self._has_ended = True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _nothing() -> None:
    return None
