"""What became of a group is found by its attempts, wherever their events lie."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.events import GroupDropped, Note, PolicyUpdated
from storage.database import open_writer
from storage.rows import AttemptRow, EventRow, Rows, attempt_row
from storage.runs.fates import Fate, fate_of, task_spec
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.events import Event

STEP = 16
"""Attempts in a step: two groups of eight."""


def events_of(steps: int, rng: random.Random) -> tuple[list[Event | AttemptRow], dict[int, Fate]]:
    """A run of so many steps with notes anywhere, and what is to be found for each group."""
    told: list[Event | AttemptRow] = []
    fates: dict[int, Fate] = {}
    for step in range(steps):
        numbers = range(step * STEP, (step + 1) * STEP)
        for number in numbers:
            told += [Note(level="info", text="")] * rng.choice((0, 0, 3))
            told.append(attempt_row(1, make_judged(number), ts_ns=NOW_NS))
        for group in {number // 8 for number in numbers}:
            reason = rng.choice(("", "all scores are equal"))
            told += [GroupDropped(group=group, reason=reason)] if reason else []
            fates[group] = Fate(group=group, version=step + 1, dropped=reason)
        told.append(PolicyUpdated(version=step + 1, metrics={}))
    return told, fates


@pytest.mark.parametrize("seed", range(3))
def test_every_attempt_leads_to_the_fate_of_its_group(tmp_path: Path, seed: int) -> None:
    told, fates = events_of(9, random.Random(seed))
    rows = [_row(seq, each) for seq, each in enumerate(told, start=1)]
    attempts = [each for each in told if isinstance(each, AttemptRow)]
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, Rows(attempts=attempts, events=rows))
        found = {row.number: fate_of(connection, 1, row.number, row.group_no) for row in attempts}
        assert fate_of(connection, 1, len(attempts), 99) is None
    assert found == {row.number: fates[row.group_no] for row in attempts}


def test_before_the_step_nothing_is_known_of_a_group(tmp_path: Path) -> None:
    attempt = attempt_row(1, make_judged(1), ts_ns=NOW_NS)
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, Rows(attempts=[attempt], events=[_row(1, attempt)]))
        assert fate_of(connection, 1, 1, 0) is None


def test_the_record_of_a_task_is_read_by_its_key(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        assert (task_spec(connection, 1, "quickstart/add") or "").startswith('{"id":"quickstart/add"')
        assert task_spec(connection, 1, "quickstart/none") is None


def _row(seq: int, told: Event | AttemptRow) -> EventRow:
    if isinstance(told, AttemptRow):
        return EventRow(1, seq, "AttemptScored", seq, NOW_NS, None, told)
    return EventRow(1, seq, type(told).__name__, seq, NOW_NS, None, msgspec.msgpack.encode(told))
