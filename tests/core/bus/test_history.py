"""The checker of histories finds what it is for, and nothing in the history of a process that is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.bus.packing import pack
from altlas_agent.core.events import AnyEvent, Envelope, decode, encode
from storage.database import open_reader, open_writer
from storage.reading.announced import events_page
from tests.builders import make_run_row, make_task, store_run
from tests.core.bus.conftest import lost, note
from tests.core.bus.history import Ears, History

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]


def envelope(seq: int, event: AnyEvent | None = None) -> Envelope:
    event = event or note(seq)
    return Envelope(run_id=1, seq=seq, monotonic_ns=0, wall_ns=0, event=event, payload=pack(event))


def sound() -> History:
    """Two lives: event 3 is announced, heard, and lost by the kill; another one gets its number."""
    one, two, three, again = envelope(1), envelope(2, lost("x")), envelope(3), envelope(3, note("again"))
    found = History(
        announced=[(0, one), (0, two), (0, three), (1, again)],
        acknowledged=[one, two, again],
        effects=[one, two, again],
        stored=[one, two, again],
    )
    found.heard[Ears(0, "lanes", in_order=False)] = [two, one, three]
    found.heard[Ears(1, "socket", in_order=True, start=2)] = [two, again]
    return found


def test_a_sound_history_has_no_fault() -> None:
    assert sound().faults() == []


def _forget_a_row(history: History) -> None:
    del history.stored[1]


def _store_another_event(history: History) -> None:
    history.stored[1] = envelope(2)


def _act_twice(history: History) -> None:
    history.effects.append(history.effects[0])


def _act_on_what_was_lost(history: History) -> None:
    history.effects[2] = envelope(3)


def _skip_an_effect(history: History) -> None:
    del history.effects[1]


def _hear_twice(history: History) -> None:
    history.heard[Ears(1, "socket", in_order=True, start=2)].append(history.stored[2])


def _hear_in_disorder(history: History) -> None:
    history.heard[Ears(0, "socket", in_order=True)] = [history.stored[1], history.stored[0]]


def _miss_an_event(history: History) -> None:
    history.heard[Ears(1, "other", in_order=True, start=1)] = [history.stored[0], history.stored[2]]


def _hear_a_rumour(history: History) -> None:
    history.heard[Ears(1, "other", in_order=True)] = [envelope(1, note("rumour"))]


def _hear_the_future(history: History) -> None:
    history.heard[Ears(0, "other", in_order=True)] = [history.stored[2]]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_forget_a_row, "gap: event 3 is stored where 2 belongs"),
        (_forget_a_row, "loss: event 2 was acknowledged and is not what is stored"),
        (_store_another_event, "loss: event 2 was acknowledged and is not what is stored"),
        (_store_another_event, "stored: event 2 was never announced with these bytes"),
        (_act_twice, "effect: event 1 had its effect twice"),
        (_act_on_what_was_lost, "effect: event 3 had an effect and is not what is stored"),
        (_skip_an_effect, "effect: events [2] had none"),
        (_hear_twice, "repetition: socket heard event 3 twice in life 1"),
        (_hear_in_disorder, "disorder: socket heard event 1 after 2 in life 0"),
        (_miss_an_event, "gap: other missed an event from 1 on in life 1"),
        (_hear_a_rumour, "heard: other heard event 1, which was never announced so"),
        (_hear_the_future, "heard: other heard event 3, which was never announced so"),
    ],
)
def test_the_checker_finds(spoil: Callable[[History], None], fault: str) -> None:
    history = sound()
    spoil(history)
    assert fault in history.faults()


PUBLISHING = """
import pathlib, sys
import anyio
from altlas_agent.actors.recorder import Recorder
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.events import Note, WorkerLost, encode
from storage.writer import Writer

def tell(kind, envelope):
    print(kind, encode(envelope).hex(), flush=True)

async def main(path, last_seq):
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        bus = Bus(1, SystemClock(), last_seq=last_seq)
        tasks.start_soon(Recorder(bus, writer).run)
        tasks.start_soon(listen, bus.subscribe("announced", policy=Policy.BLOCK, in_order=True))
        tasks.start_soon(listen, bus.subscribe("lanes", policy=Policy.DROP_OLDEST, capacity=9))
        tasks.start_soon(listen, bus.subscribe("past", policy=Policy.DISCONNECT, from_seq=1))
        for lane in range(4):
            tasks.start_soon(publish, bus, lane)

async def publish(bus, lane):
    while True:
        for number in range(5):
            await bus.publish(Note(level="info", text="unacknowledged"))
        await bus.publish(WorkerLost(worker=str(lane), detail=""))
        tell("acknowledged", await bus.publish_durable(Note(level="info", text=f"lane {lane}")))

async def listen(subscription):
    async for envelope in subscription:
        tell(subscription.name, envelope)

anyio.run(main, pathlib.Path(sys.argv[1]), int(sys.argv[2]), backend=sys.argv[3])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_kills_and_pauses_of_a_real_process_break_no_promise(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task()])
    delays, history = random.Random(3), History()
    for life in range(4):
        told = _live_until_killed(path, len(history.stored), backend, delays)
        history.announced += [(life, each) for each in told["announced"]]
        history.acknowledged += told["acknowledged"]
        history.heard[Ears(life, "lanes", in_order=False)] = told["lanes"]
        history.heard[Ears(life, "past", in_order=True, start=1)] = told["past"]
        with closing(open_reader(path)) as connection:
            history.stored = events_page(connection, 1, 1, limit=1_000_000)
    assert len(history.acknowledged) > 4
    assert _without_unwitnessed(history) == []


def _without_unwitnessed(history: History) -> list[str]:
    """A kill may come between an announcement and the word about it: the others know of it all the same."""
    known = {encode(each) for _, each in history.announced}
    others = (
        [each for told in history.heard.values() for each in told] + history.acknowledged + history.stored
    )
    history.announced += [(0, each) for each in others if encode(each) not in known]
    return history.faults()


def _live_until_killed(
    path: Path, last_seq: int, backend: str, delays: random.Random
) -> dict[str, list[Envelope]]:
    """What a child said from its first acknowledgement on until it was killed; it stood still meanwhile."""
    argv = [sys.executable, "-c", PUBLISHING, str(path), str(last_seq), backend]
    told: dict[str, list[Envelope]] = defaultdict(list)
    with TemporaryFile("w+") as said:
        with subprocess.Popen(argv, stdout=said, cwd=ROOT) as child:
            while "acknowledged" not in (Path(f"/proc/self/fd/{said.fileno()}").read_text()):
                assert child.poll() is None
                time.sleep(0.02)
            for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL):
                time.sleep(delays.uniform(0.0, 0.1))
                child.send_signal(number)
        said.seek(0)
        for line in said:
            kind, _, frame = line.rstrip("\n").partition(" ")
            if line.endswith("\n"):
                told[kind].append(decode(bytes.fromhex(frame)))
    return told
