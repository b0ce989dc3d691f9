"""What the routes are about: the runs of this process and what carries them; and the shapes of their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from altlas_agent.core.events import CheckpointSaved, Progress  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.pulse import Lag  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.records import Record
from altlas_agent.daemon.live import LiveRun, Runs, State
from altlas_agent.daemon.service.discovery import Announced  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import anyio

    from altlas_agent.core.pulse import ActorState
    from storage.database import Pause
    from storage.runs.exams import ExamRow
    from storage.writer import WriterStatistics


class Workers(Record):
    """Sandbox workers: how many can take a program now, and how many there should be."""

    up: int
    wanted: int


class Host(Runs, Protocol):
    """The runs of this process, with what the daemon tells about their workers and actors."""

    @property
    def workers(self) -> Workers: ...

    def actors(self) -> Sequence[ActorState]:
        """The actors of all runs, in the order of their start."""
        ...

    def tell_of_pause(self, pause: Pause | None) -> None:
        """The store waits for something, or, with None, goes on."""
        ...


class Marks(Protocol):
    """What is written about runs that are stored; each answers False when there is no such run."""

    async def retag(self, run_id: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> bool: ...
    async def set_note(self, run_id: int, note: str) -> bool: ...

    async def keep_exam(self, exam: ExamRow) -> bool: ...

    async def delete_run(self, run_id: int) -> bool:
        """Take a run away that is not running; asked again after a kill, it goes on."""
        ...


class Health(Protocol):
    """How the process itself is."""

    @property
    def is_live(self) -> bool:
        """Whether the event loop turns over."""
        ...

    @property
    def lag(self) -> Lag: ...

    @property
    def store_trouble(self) -> str:
        """Why nothing can be stored now; empty when it can."""
        ...

    def store(self) -> WriterStatistics: ...

    def actors(self) -> Sequence[ActorState]:
        """The daemon's own."""
        ...

    @property
    def degraded(self) -> tuple[str, ...]:
        """Groups of actors that are given up for now."""
        ...


@dataclass(slots=True, kw_only=True)
class Counts:
    """What the API counts about itself."""

    connections: int = 0
    refused: int = 0
    requests: int = 0
    streams: int = 0
    streams_ever: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything a route may look at or do. Made by `daemon/serve.py`."""

    host: Host
    health: Health
    marks: Marks
    announced: Announced
    database: Path
    stop: Callable[[bool], None]
    """End the daemon; with True in haste, without waiting for the runs."""
    is_stopping: Callable[[], bool]
    ending: anyio.Event
    """Set when listeners are to be sent away: the API is about to end."""
    counts: Counts = field(default_factory=Counts)


class RunLine(Record):
    """A live run in a line."""

    id: int
    name: str
    state: State
    progress: Progress | None
    last_seq: int
    committed_seq: int


class RunLines(Record):
    """All live runs."""

    rows: tuple[RunLine, ...]
    truncated: bool
    total: int


class Begun(Record):
    """A run that was started, or goes on."""

    run: RunLine


class Applied(Record):
    """What became of a request to change something. `applied` is False where it was so already."""

    target: str
    applied: bool
    state: State | None = None
    before: dict[str, object] | None = None
    checkpoint: CheckpointSaved | None = None


class Liveness(Record):
    """Whether the event loop turns over, and how late."""

    live: bool
    lag: Lag


class Readiness(Record):
    """Whether it can do its work; `reasons` say why not."""

    ready: bool
    reasons: tuple[str, ...]
    workers: Workers


class Info(Record):
    """Who answers."""

    daemon: Announced
    stopping: bool
    degraded: tuple[str, ...]
    runs: int


def line_of(run: LiveRun) -> RunLine:
    """The run as it is now."""
    return RunLine(
        id=run.run_id,
        name=run.name,
        state=run.state,
        progress=run.progress,
        last_seq=run.bus.last_seq,
        committed_seq=run.bus.committed_seq,
    )
