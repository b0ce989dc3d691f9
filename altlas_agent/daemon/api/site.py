"""What the routes are about: the runs of this process and what carries them. Made by `daemon/serve.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from altlas_agent.core.events import Progress  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.records import Record
from altlas_agent.daemon.live import LiveRun, Runs, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import anyio

    from altlas_agent.core.pulse import ActorState
    from altlas_agent.daemon.service.discovery import Announced
    from altlas_agent.daemon.watchdog import Lag
    from storage.database import Pause
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
    """Everything a route may look at or do."""

    host: Host
    health: Health
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
