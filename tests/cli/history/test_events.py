"""What happened in a run: from a cursor on, the last of it, and what comes while it goes on."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.events import Note, RunEnded
from storage.database import open_writer
from storage.rows import EndRow, EventRow, Rows
from tests.builders import NOW_NS, make_attempt_rows, make_run_row, make_task, store, store_run
from tests.cli.history.examples import HOSTILE

if TYPE_CHECKING:
    import sqlite3
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from altlas_agent.core.events import Event
    from tests.cli.history.examples import Altlas

    Start = Callable[..., subprocess.Popen[str]]

_pack = msgspec.msgpack.Encoder().encode


def _seqs(altlas: Altlas, *words: str) -> list[int]:
    return [row["seq"] for row in json.loads(altlas("event", "list", "r1", "--json", *words).stdout)["rows"]]


def test_events_are_listed_in_order_behind_a_cursor(altlas: Altlas, filled: Path) -> None:
    assert _seqs(altlas) == [1, 2, 3, 4, 5]
    assert _seqs(altlas, "--cursor", "3") == [4, 5]
    assert _seqs(altlas, "--type", "note", "--type", "TaskSolved") == [3, 5]
    assert _seqs(altlas, "--type", "TaskSolved", "--cursor", "5") == []


def test_a_page_of_events_names_the_cursor_that_goes_on(altlas: Altlas, filled: Path) -> None:
    answer = json.loads(altlas("event", "list", "r1", "--json", "--limit", "2").stdout)
    assert (answer["cursor"], answer["truncated"], answer["total"]) == (2, True, 5)
    assert altlas("event", "list", "r1", "--limit", "2").stderr == (
        "2 of 5; --limit 0 for all; next: --cursor 2\n"
    )
    assert json.loads(altlas("event", "list", "r1", "--json", "--cursor", "5").stdout)["cursor"] == 5


def test_an_event_is_what_was_announced(altlas: Altlas, filled: Path) -> None:
    rows = json.loads(altlas("event", "list", "r1", "--json").stdout)["rows"]
    assert rows[1]["event"] == {"type": "PolicyUpdated", "version": 1, "metrics": {"loss": 0.5}}
    assert rows[3]["event"]["judged"]["attempt"]["code"] == "print(5 + 3)"
    [row] = json.loads(altlas("event", "list", "r2", "--json").stdout)["rows"]
    assert row["event"]["text"] == HOSTILE


def test_a_type_that_is_none_is_answered_with_those_there_are(altlas: Altlas, filled: Path) -> None:
    done = altlas("event", "list", "r1", "--type", "Nothing")
    assert done.returncode == 2
    assert "'Nothing' is none of " in done.stderr
    assert "AttemptScored, CheckpointSaved" in done.stderr


def test_the_last_events_are_lines_in_order(altlas: Altlas, filled: Path) -> None:
    lines = altlas("event", "tail", "r1", "-n", "2").stdout.splitlines()
    assert [line.split()[1:3] for line in lines] == [["4", "AttemptScored"], ["5", "TaskSolved"]]
    assert "61 quickstart/add: success, score 1.000, solved" in lines[0]
    objects = altlas("event", "tail", "r1", "-n", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in objects] == [4, 5]


def test_the_tail_of_a_run_is_its_events_but_not_each_attempt_and_how_far_it_is(
    altlas: Altlas, filled: Path
) -> None:
    lines = [json.loads(line) for line in altlas("run", "tail", "r1", "--json").stdout.splitlines()]
    assert [line["type"] for line in lines] == [
        "RunStarted",
        "PolicyUpdated",
        "Note",
        "TaskSolved",
        "Progress",
    ]
    assert (lines[-1]["attempts"], lines[-1]["solved"], lines[-1]["tasks"]) == (61, 1, 2)
    assert "61 attempts, 1 of 2 tasks solved, best 1.000" in altlas("run", "tail", "r1").stdout
    everything = altlas("run", "tail", "r1", "--attempts", "--json").stdout
    assert "AttemptScored" in everything


@pytest.mark.parametrize("words", [("event", "list", "r3"), ("event", "tail", "r3"), ("run", "tail", "r3")])
def test_following_a_run_that_is_over_ends_at_once(
    altlas: Altlas, filled: Path, words: tuple[str, ...]
) -> None:
    assert altlas(*words, "--follow").returncode == 0


@pytest.fixture
def going_on(filled: Path) -> Iterator[sqlite3.Connection]:
    """A writing connection, and r4, which this process runs; it has one event."""
    with closing(open_writer(filled / "altlas.db")) as connection:
        assert store_run(connection, make_run_row("now", pid=os.getpid()), [make_task("add")]) == 4
        _announce(connection, 1, Note(level="info", text="begin"))
        yield connection


def test_what_comes_is_followed_until_the_run_is_over(start: Start, going_on: sqlite3.Connection) -> None:
    with start("event", "tail", "r4", "-n", "1", "-f", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"]["text"] == "begin"
        for seq in (2, 3):
            _announce(going_on, seq, Note(level="info", text=f"event {seq}"))
            assert json.loads(process.stdout.readline())["seq"] == seq
        _end(going_on, 4)
        rest = process.stdout.read()
        assert [json.loads(line)["type"] for line in rest.splitlines()] == ["RunEnded"]
        assert process.wait(timeout=10) == 0


def test_following_by_type_passes_over_the_others(start: Start, going_on: sqlite3.Connection) -> None:
    with start("event", "list", "r4", "-f", "--type", "RunEnded", "--json") as process:
        _announce(going_on, 2, Note(level="info", text="not this"))
        _end(going_on, 3)
        stdout, _ = process.communicate(timeout=15)
    assert [json.loads(line)["seq"] for line in stdout.splitlines()] == [3]


def test_following_a_run_tells_how_far_it_is_now_and_then(start: Start, going_on: sqlite3.Connection) -> None:
    with start("run", "tail", "r4", "-f", "--every", "0", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "Note"
        assert json.loads(process.stdout.readline())["attempts"] == 0
        store(going_on, Rows(attempts=make_attempt_rows(4, [1, 2, 3])))
        told = json.loads(process.stdout.readline())
        assert (told["type"], told["attempts"], told["best_score"]) == ("Progress", 3, 0.03)
        assert told["attempts_per_s"] > 0
        _end(going_on, 2)
        process.communicate(timeout=15)


def test_following_ends_with_an_interrupt(start: Start, going_on: sqlite3.Connection) -> None:
    with start("event", "tail", "r4", "-f") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (130, "altlas: interrupted\n")


def _announce(connection: sqlite3.Connection, seq: int, event: Event) -> None:
    row = EventRow(4, seq, type(event).__name__, seq, NOW_NS, None, _pack(event))
    store(connection, Rows(events=[row]))


def _end(connection: sqlite3.Connection, seq: int) -> None:
    """As the recorder does it: the last event, then the end of the run."""
    _announce(connection, seq, RunEnded(run_id=4, reason="done", attempts=0, solved=0))
    store(connection, Rows(ends=[EndRow(4, "ended", "done", NOW_NS, 1.0)]))
