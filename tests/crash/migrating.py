"""Databases of an older AltLAS whose migration is killed: what is left is the old schema or the new one, whole."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.events import AttemptScored
from storage.database import FILE_NAME, SCHEMA, migrate, open_reader
from storage.packing.vectors import pack_tokens, unpack_logps
from storage.reading.announced import events_page
from storage.rows import attempt_row
from tests.builders import NOW_NS, make_judged, make_run_row, make_task

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from altlas_agent.core.records import Judged
    from tests.crash.fronts import Place

OLD = 2
ATTEMPTS = 700
"""More than a page of what is moved at once."""

_ENDS_S = 60.0


def make_old(home: Path) -> list[bytes]:
    """A home with a database of schema 2 and one run in it; gives the payloads of its events."""
    home.mkdir(mode=0o700)
    path = home / FILE_NAME
    migrate(path, number=OLD)
    judged = [
        make_judged(number, code=f"print({number} + 3)  # {'x' * (number % 50)}")
        for number in range(1, ATTEMPTS + 1)
    ]
    payloads = [msgspec.msgpack.encode(AttemptScored(judged=each)) for each in judged]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        _insert_run(connection)
        for number, (each, payload) in enumerate(zip(judged, payloads, strict=True), 1):
            _insert(connection, "attempts", _old_attempt(each))
            _insert(
                connection,
                "events",
                {
                    "run_id": 1,
                    "seq": number,
                    "type": "AttemptScored",
                    "monotonic_ns": number,
                    "wall_ns": NOW_NS,
                    "cause_seq": None,
                    "payload": payload,
                },
            )
        connection.execute("COMMIT")
    return payloads


def strike(place: Place, rng: random.Random) -> tuple[bool, list[str]]:
    """Kill the migration of an old home somewhere.

    Gives whether it was hit, and what is wrong with what is left and with what comes of it.
    """
    payloads = make_old(place.home)
    _killed(place, f"migration:{rng.randint(1, 120)}:self:{rng.choice((0, rng.randint(1, 20_000)))}:SIGKILL")
    wrong, was_hit = _look(place, payloads, finished=False), place.was_hit
    _killed(place, "")
    return was_hit, wrong + _look(place, payloads, finished=True)


def _killed(place: Place, aim: str) -> None:
    """Start a daemon, which migrates; end it when it serves, if it gets so far."""
    daemon = place.run("daemon", "start", "--foreground", aim=aim)
    until = time.monotonic() + _ENDS_S
    while daemon.poll() is None and not (place.home / "run" / f"{daemon.pid}.json").exists():
        assert time.monotonic() < until, place.said()
        time.sleep(0.02)
    daemon.terminate()
    daemon.wait(_ENDS_S)


def _look(place: Place, payloads: list[bytes], *, finished: bool) -> list[str]:
    wrong: list[str] = []
    ((number,),) = place.ask("PRAGMA user_version") or [(None,)]
    if number not in ((SCHEMA,) if finished else (OLD, SCHEMA)):
        wrong.append(f"C3: after a killed migration the schema is {number}")
    if place.ask("PRAGMA integrity_check") != [("ok",)]:
        wrong.append("C3: a killed migration left a damaged database")
    if place.ask("SELECT count(*) FROM attempts") != [(len(payloads),)]:
        wrong.append("C1: a killed migration lost attempts")
    if number == SCHEMA:
        with closing(open_reader(place.home / FILE_NAME)) as reader:
            if [each.payload for each in events_page(reader, 1, 1, limit=len(payloads) + 1)] != payloads:
                wrong.append("C1: a migration changed what was announced")
    if finished and list(place.home.glob("*.part")):
        wrong.append("C5: a killed migration left a part of a backup")
    return wrong


def _insert_run(connection: sqlite3.Connection) -> None:
    run, task = make_run_row()._asdict(), make_task()
    left_out = {
        "name": "old",
        "status": "ended",
        "reason": "",
        "jail_rung": "",
        "jail_layers": "[]",
        "attempts": ATTEMPTS,
        "solved": 0,
        "tasks": 1,
        "wall_s": 1.0,
    }
    _insert(connection, "runs", run | left_out)
    spec = msgspec.json.encode(task).decode()
    _insert(
        connection,
        "tasks",
        {
            "run_id": 1,
            "key": task.key,
            "name": task.name,
            "language": task.target_language,
            "kind": task.kind.value,
            "rung": 1,
            "difficulty": 1.0,
            "attempts": ATTEMPTS,
            "description": task.description,
            "spec_json": spec,
        },
    )


def _old_attempt(judged: Judged) -> dict[str, object]:
    """A row as schema 2 kept it: texts and JSON in the row itself."""
    row, text = attempt_row(1, judged, ts_ns=NOW_NS), msgspec.json.encode
    same = (
        "run_id",
        "number",
        "group_no",
        "instance_id",
        "policy_version",
        "arm",
        "status",
        "score",
        "solved",
        "passed",
        "total",
        "fingerprint",
        "cpu_s",
        "wall_s",
        "max_rss_mb",
        "rung",
        "engine",
        "ts_ns",
        "logps",
        "violations",
        "code",
        "stdout",
        "stderr",
    )
    assert unpack_logps(row.logps) == judged.attempt.logps, "they are exact in both forms"
    return {name: getattr(row, name) for name in same} | {
        "task_id": 1,
        "parts": text(judged.score.parts).decode(),
        "cases": text(judged.outcome.cases).decode(),
        "tokens": pack_tokens(judged.attempt.tokens),
    }


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))
