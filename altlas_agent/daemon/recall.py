"""The feedback memory that a new run begins with: made again from the attempts that an earlier run stored.

Nothing is stored twice: the memory is a fold over judged attempts, and those are all there.
"""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from altlas_agent.core.errors import RunRefusedError
from altlas_agent.core.events import AttemptScored, unpack
from altlas_agent.core.records import Group, GroupPlan
from altlas_agent.core.states import FeedbackMemory
from altlas_agent.rewards.past.memory import remembered, without_texts
from storage.bodies.reading import Library
from storage.database import FILE_NAME, open_reader
from storage.packing.replay import scored_payload
from storage.packing.stored import stored_attempts
from storage.reading import queries
from storage.reading.views import AttemptFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from altlas_agent.core.records import Judged
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.loader import Entry, Suite

RECALLED = 512
"""Attempts of each task that are looked at, the newest ones."""


def check_source(home: Path, settings: Settings) -> None:
    """Raises NotFoundError where the run to start from is not in this home, RunRefusedError while it goes on."""
    name = settings.learning.feedback.start_from
    if not name:
        return
    with closing(open_reader(home / FILE_NAME)) as connection:
        if queries.find_run(connection, name).status == "running":
            raise RunRefusedError(
                f"learning.feedback.start_from = {name}: that run goes on, so what it remembers changes; stop it first"
            )


def recalled(home: Path, suite: Suite, settings: Settings) -> FeedbackMemory:
    """What the run that is named in the settings left to remember of the tasks of this suite; nothing without one.

    Raises NotFoundError when it is gone, DatabaseDamagedError for texts that cannot be read.
    """
    feedback, memory = settings.learning.feedback, FeedbackMemory()
    if not feedback.start_from:
        return memory
    with closing(open_reader(home / FILE_NAME)) as connection:
        run_id = queries.find_run(connection, feedback.start_from).id
        for entry in suite.entries:
            for task_id in queries.task_ids(connection, run_id, entry.key):
                for group in _groups(connection, AttemptFilter(run_id=run_id, task_id=task_id), entry):
                    memory = remembered(memory, group, feedback)
    return without_texts(memory)


def _groups(connection: sqlite3.Connection, which: AttemptFilter, entry: Entry) -> Iterator[Group]:
    """The stored groups of one task, oldest first; the first may be cut."""
    numbers = [line.number for line in queries.attempts_page(connection, which, limit=RECALLED)]
    stored = stored_attempts(connection, Library(connection), which.run_id, numbers)
    judged = [_judged(scored_payload(stored[number].attempt)) for number in sorted(stored)]
    for number, members in groupby(judged, key=lambda each: each.attempt.group):
        group = tuple(members)
        task = entry.instance("train", _index(group[0].attempt.task_id))
        plan = GroupPlan(group=number, task=task, size=len(group), first_number=group[0].attempt.number)
        yield Group(plan=plan, judged=group)


def _judged(payload: bytes) -> Judged:
    event = unpack(payload)
    assert isinstance(event, AttemptScored), "an attempt is told by no other event"
    return event.judged


def _index(task_id: str) -> int:
    """Of an instance of a family; 0 for a plain task."""
    number = task_id.partition("#")[2].partition("~")[0].removeprefix("train-")
    return int(number) if number.isdecimal() else 0
