"""What a run that goes on can be asked, whoever asks: the command line in the foreground, or the API."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import CheckpointSaved, Progress


class State(enum.StrEnum):
    """Where a run of this process stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    ENDED = "ended"
    CRASHED = "crashed"


class LiveRun(Protocol):
    """A run of this process. Everything but `checkpoint` takes effect between two steps and returns at once."""

    @property
    def run_id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> State: ...

    @property
    def progress(self) -> Progress | None:
        """How far it was after its last step; None before the first."""
        ...

    @property
    def bus(self) -> Bus: ...

    def stop(self) -> None:
        """End it, with a checkpoint; asking twice is no error."""
        ...

    def pause(self) -> None:
        """Start no further step. What is under way is finished."""
        ...

    def resume(self) -> None:
        """Go on after a pause."""
        ...

    async def checkpoint(self) -> CheckpointSaved:
        """Save now, between two steps. Raises PolicyError or StorageError."""
        ...

    def steer(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Set live settings by their dotted names from the next step on; gives what they were before.

        Raises SettingsError for a name that is unknown or not live, or a value that is refused; then
        nothing is changed.
        """
        ...


class Runs(Protocol):
    """The runs of this process, over one store and one crew of workers."""

    def live(self) -> tuple[LiveRun, ...]:
        """Those that have not ended, oldest first."""
        ...

    def find(self, run_id: int) -> LiveRun:
        """Raises NotFoundError for one that is not live here."""
        ...

    async def start(self, suite: str, settings: Mapping[str, object], *, name: str = "") -> LiveRun:
        """Begin a run over the suite, with settings by dotted names over the defaults of the home.

        Raises SettingsError, TaskError, NoJailError, ServiceMissingError or StorageError; nothing is written then.
        """
        ...

    async def restart(self, run_id: int, changes: Mapping[str, object]) -> LiveRun:
        """Go on with a run that was interrupted or crashed, with live settings changed.

        Raises NotFoundError, RunRefusedError, SettingsError or TaskError.
        """
        ...
