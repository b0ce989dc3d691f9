"""A writer that is killed at any moment has lost nothing that it acknowledged, and stored no half of a group.

`ALTLAS_KILLS` says how often each kind of death is died; a larger number makes a longer run of the same.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import open_reader, open_writer
from storage.maintenance.check import check
from storage.reading import queries
from tests.builders import make_run_row, make_task, store_run

KILLS = int(os.environ.get("ALTLAS_KILLS", "5"))
BATCH = 20

_ROOT = Path(__file__).parents[2]

COMMITTING = """
import os, pathlib, signal, sys
import anyio
from altlas_agent.actors.recorder import rows_of
from altlas_agent.core.events import AttemptScored, Envelope
from storage import writer
from storage.writing import checkpoints, groups
from tests.builders import NOW_NS, make_judged

groups.TICK_S, groups.BREATH_S, checkpoints.URGENT_BYTES = 0.02, 0.001, 200_000
path, batch, aim, last = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4], int(sys.argv[5])
next_batch = int(sys.argv[3])
open_writer = writer.open_writer

def open_counted(path):
    connection = open_writer(path)
    connection.set_trace_callback(count)
    return connection

def count(statement):
    global last
    if statement.startswith(aim):
        last -= 1
        if last == 0:
            os.kill(os.getpid(), signal.SIGKILL)

if aim:
    writer.open_writer = open_counted

def rows(number):
    first = number * batch + 1
    return rows_of(
        Envelope(run_id=1, seq=each, monotonic_ns=each, wall_ns=NOW_NS, event=AttemptScored(
            judged=make_judged(each, score=each % 100 / 100, code=f"print({each})" * (each % 9), solved=each % 50 == 0)
        ))
        for each in range(first, first + batch)
    )

async def call(writer):
    global next_batch
    while True:
        number, next_batch = next_batch, next_batch + 1
        await writer.durable(rows(number))
        os.write(1, b"%d\\n" % number)

async def main():
    async with writer.Writer(path) as opened, anyio.create_task_group() as callers:
        for _ in range(6):
            callers.start_soon(call, opened)

anyio.run(main, backend=sys.argv[6])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task()])
    return path


@pytest.mark.timeout(30 + 20 * KILLS)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_kill_at_a_random_moment_loses_nothing_acknowledged(path: Path, backend: str) -> None:
    delays = random.Random(11)
    batches = 0
    for _ in range(KILLS):
        acknowledged = _commit_until_killed(path, batches, backend=backend, delay_s=delays.uniform(0.0, 0.3))
        batches = _check_whole(path, acknowledged)
    assert batches > KILLS


@pytest.mark.timeout(30 + 20 * KILLS)
@pytest.mark.parametrize(
    ("aim", "often"),
    [
        ("COMMIT", 6),
        ("PRAGMA wal_checkpoint", 6),
        ("INSERT INTO bodies", 500),
        ("INSERT INTO attempts", 500),
        ("INSERT INTO events", 500),
        ("UPDATE runs SET attempts", 6),
        ("INSERT INTO fingerprints", 6),
        ("INSERT INTO program_search", 6),
    ],
)
def test_a_kill_at_a_chosen_statement_loses_nothing_acknowledged(path: Path, aim: str, often: int) -> None:
    chance = random.Random(aim)
    batches = 0
    for _ in range(max(KILLS // 2, 1)):
        acknowledged = _commit_until_killed(path, batches, aim=aim, last=chance.randint(often // 2, often))
        batches = _check_whole(path, acknowledged)
    assert batches > 0


def test_a_reader_beside_a_killed_writer_sees_what_was_committed(path: Path) -> None:
    acknowledged = _commit_until_killed(path, 0, delay_s=0.05)
    with closing(open_reader(path)) as reader:
        (stored,) = reader.execute("SELECT count(*) FROM attempts").fetchone()
    assert acknowledged
    assert stored >= len(acknowledged) * BATCH


def _check_whole(path: Path, acknowledged: set[int]) -> int:
    """How many batches are stored; all of them are whole, and all that were acknowledged are among them."""
    with closing(open_writer(path)) as connection:
        attempts = [number for (number,) in connection.execute("SELECT number FROM attempts ORDER BY number")]
        events = [event.seq for event in queries.events_page(connection, 1, limit=10**6)]
        assert [problem for each in check(connection) for problem in each.problems] == []
    batches = len(attempts) // BATCH
    assert attempts == events == list(range(1, batches * BATCH + 1))
    assert acknowledged <= set(range(batches))
    return batches


def _commit_until_killed(
    path: Path,
    first: int,
    *,
    backend: str = "asyncio",
    delay_s: float = 0.0,
    aim: str = "",
    last: int = 0,
) -> set[int]:
    """Let a child commit until it is killed after its first report, or kills itself; returns what it reported."""
    words = [sys.executable, "-c", COMMITTING, str(path), str(BATCH), str(first), aim, str(last), backend]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as child:
        assert child.stdout is not None
        if aim:
            reports = child.stdout.readlines()
        else:
            reports = [child.stdout.readline()]
            time.sleep(delay_s)
            child.send_signal(signal.SIGKILL)
            reports += child.stdout.readlines()
        assert child.wait() == -signal.SIGKILL
    return {int(report) for report in reports if report.endswith("\n")}
