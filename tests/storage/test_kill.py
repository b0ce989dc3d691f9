from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import open_writer
from tests.builders import make_run_row, make_task, store_run

BATCH = 20

_ROOT = Path(__file__).parents[2]

COMMITTING = """
import pathlib, sys
import anyio
from storage.rows import Rows
from storage.writer import Writer
from tests.builders import make_attempt_rows

async def main(path, first, batch):
    async with Writer(path) as writer:
        while True:
            await writer.durable(Rows(attempts=make_attempt_rows(1, range(first, first + batch))))
            first += batch
            print(first - 1, flush=True)

anyio.run(main, pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), backend=sys.argv[4])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_kill_loses_nothing_acknowledged_and_tears_no_batch(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task()])
    delays = random.Random(11)
    stored = 0
    for _ in range(6):
        acknowledged = _commit_until_killed(path, stored + 1, backend, delays.uniform(0.0, 0.15))
        with closing(open_writer(path)) as connection:
            numbers = [
                number for (number,) in connection.execute("SELECT number FROM attempts ORDER BY number")
            ]
            totals = connection.execute("SELECT r.attempts, t.attempts FROM runs r JOIN tasks t").fetchone()
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = len(numbers)
        assert numbers == list(range(1, stored + 1))
        assert stored >= acknowledged
        assert stored % BATCH == 0
        assert totals == (stored, stored)
    assert stored > 0


def _commit_until_killed(path: Path, first: int, backend: str, delay_s: float) -> int:
    """Let a child commit for a while after its first report; returns the last number it reported."""
    words = [sys.executable, "-c", COMMITTING, str(path), str(first), str(BATCH), backend]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as child:
        assert child.stdout is not None
        reports = [child.stdout.readline()]
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        reports += child.stdout.readlines()
    return max(int(report) for report in reports if report.endswith("\n"))


def test_a_reader_beside_a_killed_writer_sees_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task()])
    acknowledged = _commit_until_killed(path, 1, "asyncio", 0.05)
    with closing(sqlite3.connect(path.as_uri() + "?mode=ro", uri=True)) as reader:
        (stored,) = reader.execute("SELECT count(*) FROM attempts").fetchone()
    assert stored >= acknowledged > 0
