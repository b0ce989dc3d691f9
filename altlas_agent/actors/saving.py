"""When a training loop saves itself, and what it does where there is no room for that.

loop      waits for             unblocked by
--------  --------------------  -----------------------------------------------
save      the student's answer  the student, its death, or its deadline
save      the commit            the recorder
at_last   room on a full disk   whoever makes it; `Controls.stop`; `ROOM_S`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec

from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.errors import NoRoomError
from altlas_agent.core.events import CheckpointSaved, Note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from altlas_agent.actors.controls import Controls
    from altlas_agent.actors.student import Student
    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.clock import Clock
    from altlas_agent.core.states import LoopState
    from altlas_agent.settings.run import Settings

    Mark = tuple[int, Settings]
    """What a checkpoint is of: how many batches were learned from, under which settings."""

ROOM_S = 600.0
"""How long the last checkpoint of a run waits for room on a full disk."""

LOOK_S = 0.5


class Checkpoints:
    """Those of one life of a loop, which stands at a `Mark` and tells its whole state when asked."""

    def __init__(self, *, bus: Bus, controls: Controls, clock: Clock, folder: Path) -> None:
        self._bus = bus
        self._controls = controls
        self._clock = clock
        self._folder = folder
        self._saved_ns = clock.monotonic_ns()
        self._saved_at: Mark | None = None
        self._saved: CheckpointSaved | None = None
        self._has_no_room = False

    def restored(self, at: Mark) -> None:
        """The loop goes on from a checkpoint of this mark."""
        self._saved_at = at

    def is_due(self, every_s: float) -> bool:
        """Whether somebody asked for one, or the last one is so old."""
        since_s = (self._clock.monotonic_ns() - self._saved_ns) / NS_PER_S
        return self._controls.wants_checkpoint or since_s >= every_s

    async def at_last(self, student: Student, at: Mark, state: Callable[[], LoopState]) -> None:
        """Save for the last time. Room is waited for, but not when somebody wants the end: it can be resumed."""
        with anyio.move_on_after(ROOM_S):
            while not await self.save(student, at, state) and not self._controls.is_stopping:  # noqa: ASYNC110 - nothing tells of room
                await anyio.sleep(LOOK_S)

    async def save(self, student: Student, at: Mark, state: Callable[[], LoopState]) -> bool:
        """Write everything that going on needs; the file first, then the fact that it is there.

        Where nothing was learned or steered since the last one, that one will do: a version has one file.
        False when there is no room on the disk; then the one before still stands.
        """
        self._saved_ns = self._clock.monotonic_ns()
        try:
            if at != self._saved_at or (self._saved is None and self._controls.wants_checkpoint):
                self._saved = await self._write(student, state())
                self._saved_at = at
        except NoRoomError as error:
            await self._tell_of_no_room(error.message)
            return False
        self._has_no_room = False
        if self._saved is not None:
            self._controls.tell_saved(self._saved)
        return True

    async def _write(self, student: Student, state: LoopState) -> CheckpointSaved:
        saved = await student.save(self._folder, msgspec.msgpack.encode(state))
        event = CheckpointSaved(version=saved.version, path=saved.path, sha256=saved.sha256)
        await self._bus.publish_durable(event)
        return event

    async def _tell_of_no_room(self, why: str) -> None:
        self._controls.tell_unsaved(why)
        if not self._has_no_room:
            await self._bus.publish(Note(level="warning", text=f"{why}; it is tried again"))
        self._has_no_room = True
