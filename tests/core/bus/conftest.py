"""Small events, buses with a clock of their own, and a bus whose events are really stored."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio

from altlas_agent.actors.recorder import Recorder
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.events import Envelope, Note, Progress, WorkerLost
from storage.writer import Writer
from tests.builders import make_run_row, make_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from pathlib import Path

    from altlas_agent.core.bus.subscription import Subscription


def make_bus(block_s: float = 30.0) -> Bus:
    return Bus(12, ManualClock(monotonic_ns=5, wall_ns=7), block_s=block_s)


def note(text: object = "") -> Note:
    """A durable event of the data lane."""
    return Note(level="info", text=str(text))


def progress(attempts: int) -> Progress:
    """An ephemeral event of the telemetry lane."""
    return Progress(attempts=attempts, solved=0, best_score=0.0, attempts_per_s=1.0)


def lost(worker: object) -> WorkerLost:
    """A durable event of the control lane."""
    return WorkerLost(worker=str(worker), detail="")


def words(envelopes: Iterable[Envelope]) -> list[str]:
    """Each event as one word: the text of a note, `p1` for progress, `!x` for the loss of x."""
    found: list[str] = []
    for envelope in envelopes:
        match envelope.event:
            case Note(text=text):
                found.append(text)
            case Progress(attempts=attempts):
                found.append(f"p{attempts}")
            case WorkerLost(worker=worker):
                found.append(f"!{worker}")
            case event:
                found.append(type(event).__name__)
    return found


def texts(subscription: Subscription) -> list[str]:
    return words(subscription.drain_nowait())


class Stored(NamedTuple):
    """A bus, and the recorder that stores its events."""

    bus: Bus
    recorder: Recorder


@asynccontextmanager
async def stored(path: Path, *, block_s: float = 30.0) -> AsyncGenerator[Stored]:
    """The bus of a fresh run; at the end of the block everything that was announced is committed."""
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        bus = Bus(run_id, ManualClock(monotonic_ns=5, wall_ns=7), block_s=block_s)
        recorder = Recorder(bus, writer)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            yield Stored(bus, recorder)
            bus.close()
