"""A database with something of everything, and ways to damage it."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from altlas_agent.actors.recorder import rows_of
from altlas_agent.core.events import AttemptScored, Envelope, Note
from storage import fingerprints
from storage.bodies import hashes
from storage.database import PAGE_BYTES, open_reader, open_writer, transaction
from storage.maintenance.check import check
from storage.rows import CheckpointRow, EndRow, MetricRow, Rows, SolvedRow
from storage.search import index
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from pathlib import Path

ATTEMPTS = 400
RUNS = 2


def make_whole(path: Path, *, attempts: int = ATTEMPTS) -> None:
    """Two runs with their attempts, events, checkpoints; indexed, and cleanly closed."""
    chance = random.Random(3)
    with closing(open_writer(path)) as connection:
        for run_id in range(1, RUNS + 1):
            store_run(connection, make_run_row(f"run-{run_id}"), [make_task("add"), make_task("negate")])
            envelopes = [_scored(run_id, number, chance) for number in range(1, attempts + 1)]
            store(connection, rows_of([*envelopes, _note(run_id, attempts + 1)]))
            store(
                connection,
                Rows(
                    solved=[SolvedRow(run_id, "quickstart/add", 3)],
                    metrics=[MetricRow(run_id, "loss", version, 0.5, NOW_NS) for version in range(40)],
                    checkpoints=[CheckpointRow(run_id, 1, "v1", "ab" * 32, NOW_NS, 5)],
                    ends=[EndRow(run_id, "ended", "done", NOW_NS + 9)],
                ),
            )
        with transaction(connection):
            fingerprints.follow(connection, limit=10_000)
            hashes.follow(connection, limit=10_000)
            index(connection, limit=10_000)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def garble_page(path: Path, page: int) -> None:
    """Fill a page, counted from 1, with noise."""
    content = bytearray(path.read_bytes())
    content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = random.Random(page).randbytes(PAGE_BYTES)
    path.write_bytes(content)


def flip_bit(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def cut_off(path: Path, share: float) -> None:
    """Keep this share of the file."""
    os.truncate(path, int(path.stat().st_size * share) // 100 * 100)


def num_pages(path: Path) -> int:
    return path.stat().st_size // PAGE_BYTES


def change(path: Path, sql: str) -> None:
    """Change rows behind the back of the writer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def problems(path: Path) -> dict[str, int]:
    """Kinds of problems, and how many there are."""
    with closing(open_reader(path)) as connection:
        return {each.name: each.count for each in check(connection) if each.count}


def _scored(run_id: int, number: int, chance: random.Random) -> Envelope:
    task = "quickstart/add" if number % 2 else "quickstart/negate"
    judged = make_judged(
        number,
        task_id=f"{task}#{number}",
        score=number % 100 / 100,
        solved=number == 3,
        code="\n".join(f"print({chance.randrange(1000)})" for _ in range(8)),
        stdout=f"{number % 5}\n",
    )
    return Envelope(
        run_id=run_id, seq=number, monotonic_ns=number, wall_ns=NOW_NS, event=AttemptScored(judged=judged)
    )


def _note(run_id: int, seq: int) -> Envelope:
    return Envelope(
        run_id=run_id, seq=seq, monotonic_ns=seq, wall_ns=NOW_NS, event=Note(level="info", text="over")
    )
