"""Whole runs: a student learns a little suite, and the store holds all that happened."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest

from altlas_agent.actors.loop import Reason
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.events import AttemptScored, PolicyUpdated, Progress, RunEnded, RunStarted, TaskSolved
from altlas_agent.daemon.assembly import train
from altlas_agent.daemon.plan import RunPlan, RunResult
from altlas_agent.settings.run import Settings
from altlas_agent.tasks.loader import load_suite
from tests.flows.conftest import rows, write_suite
from tests.sandbox.conftest import descendants

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from pydantic import JsonValue

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import Envelope

pytestmark = pytest.mark.timeout(240)

MAX_ATTEMPTS = 8_000


def settings(*, workers: int) -> Settings:
    return Settings.model_validate(
        {
            "run": {"seed": 1, "max_attempts": MAX_ATTEMPTS},
            "tasks": {"groups_per_batch": 3, "group_size": 8},
            "policy": {"type": "recurrent", "hidden": 24, "embedding": 12, "buckets": 512},
            "sandbox": {"workers": workers, "prewarmed_nodes": 0},
        }
    )


class Lived(NamedTuple):
    """A home after two runs of the same seed: r1 with two workers, r2 with one; and the processes they left."""

    home: Path
    first: RunResult
    heard: list[Envelope]
    left: set[int]

    def ask(self, sql: str) -> list[tuple[JsonValue, ...]]:
        return rows(self.home, sql)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("training")
    suite = load_suite(write_suite(folder / "little"))
    heard: list[Envelope] = []

    async def listen(bus: Bus, *, task_status: TaskStatus[None]) -> None:
        with bus.subscribe("ears", policy=Policy.DROP_OLDEST, capacity=100_000) as events:
            task_status.started()
            async for envelope in events:
                heard.append(envelope)  # noqa: PERF401 - what was heard counts also when this is cancelled

    def run(workers: int) -> RunResult:
        plan = RunPlan(home=folder / "home", suite=suite, settings=settings(workers=workers), name="twin")
        return anyio.run(train, plan, listen)

    before = set(descendants(os.getpid()))
    first = run(2)
    heard_of_first = heard.copy()
    run(1)
    return Lived(folder / "home", first, heard_of_first, set(descendants(os.getpid())) - before)


def test_a_student_learns_every_task_from_random_weights(lived: Lived) -> None:
    assert (lived.first.run_id, lived.first.reason) == (1, Reason.SOLVED)
    ((status, reason, solved, tasks),) = lived.ask(
        "SELECT status, reason, solved, tasks FROM runs WHERE id = 1"
    )
    assert (status, reason, solved, tasks) == ("ended", "every task is solved", 3, 3)


def test_attempts_are_numbered_without_gaps_in_the_order_they_are_stored(lived: Lived) -> None:
    numbers = [number for (number,) in lived.ask("SELECT number FROM attempts WHERE run_id = 1 ORDER BY id")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 0 < len(numbers) < MAX_ATTEMPTS


def test_events_are_numbered_without_gaps_from_the_start_to_the_end(lived: Lived) -> None:
    stored = lived.ask("SELECT seq, type FROM events WHERE run_id = 1 ORDER BY seq")
    assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))
    assert (stored[0][1], stored[-1][1]) == ("RunStarted", "RunEnded")
    assert (
        sum(kind == "AttemptScored" for _, kind in stored)
        == lived.ask("SELECT attempts FROM runs WHERE id = 1")[0][0]
    )


def test_a_listener_hears_every_event_that_is_stored_in_the_same_order(lived: Lived) -> None:
    durable = [(each.seq, type(each.event).__name__) for each in lived.heard if each.event.durable]
    assert durable == lived.ask("SELECT seq, type FROM events WHERE run_id = 1 ORDER BY seq")
    assert isinstance(lived.heard[0].event, RunStarted)
    assert isinstance(lived.heard[-1].event, RunEnded)
    gauges = [each.event for each in lived.heard if isinstance(each.event, Progress)]
    assert gauges[-1].solved == 3
    assert gauges[-1].best_score == 1.0


def test_totals_are_what_counting_gives(lived: Lived) -> None:
    counted = lived.ask(
        "SELECT run_id, count(*), max(score), count(DISTINCT CASE WHEN solved THEN task_id END) "
        "FROM attempts GROUP BY run_id"
    )
    assert counted == lived.ask("SELECT id, attempts, best_score, solved FROM runs ORDER BY id")
    assert lived.ask("SELECT task_id, count(*), max(score) FROM attempts GROUP BY task_id") == lived.ask(
        "SELECT id, attempts, best_score FROM tasks ORDER BY id"
    )
    firsts = lived.ask("SELECT task_id, min(number) FROM attempts WHERE solved GROUP BY task_id")
    assert firsts == lived.ask("SELECT id, solved_attempt FROM tasks ORDER BY id")


def test_a_solution_passed_every_test_and_broke_no_constraint(lived: Lived) -> None:
    solutions = lived.ask(
        "SELECT a.passed = a.total, a.score, status.text, violations.data FROM attempts AS a "
        "JOIN labels AS status ON status.id = a.status_id "
        "JOIN bodies AS violations ON violations.id = a.violations_id WHERE a.run_id = 1 AND a.solved"
    )
    assert set(map(repr, solutions)) == {"(1, 1.0, 'success', b'[]')"}


def test_a_solved_task_is_caused_by_the_attempt_that_solved_it(lived: Lived) -> None:
    scored = {each.seq: each.event for each in lived.heard if isinstance(each.event, AttemptScored)}
    solved = [each for each in lived.heard if isinstance(each.event, TaskSolved)]
    assert len(solved) == 3
    for each in solved:
        assert isinstance(each.event, TaskSolved)
        assert each.cause_seq is not None
        judged = scored[each.cause_seq].judged
        assert (judged.attempt.number, judged.attempt.code) == (each.event.attempt_number, each.event.code)
        assert judged.attempt.task_id.startswith(each.event.task_key)


def test_every_policy_version_has_its_metrics(lived: Lived) -> None:
    versions = [each.event.version for each in lived.heard if isinstance(each.event, PolicyUpdated)]
    assert versions == list(range(1, len(versions) + 1))
    stored = lived.ask("SELECT version FROM metrics WHERE run_id = 1 AND name = 'score' ORDER BY version")
    assert [version for (version,) in stored] == versions


def test_attempts_are_at_most_as_stale_as_the_settings_allow(lived: Lived) -> None:
    behind = 0
    version = 0
    for each in lived.heard:
        if isinstance(each.event, PolicyUpdated):
            version = each.event.version
        if isinstance(each.event, AttemptScored):
            behind = max(behind, version - each.event.judged.attempt.policy_version)
    assert behind == settings(workers=1).run.staleness


def test_the_checkpoint_lies_where_the_store_says_with_the_content_it_says(lived: Lived) -> None:
    stored = lived.ask("SELECT version, path, sha256 FROM checkpoints WHERE run_id = 1")
    last = lived.ask("SELECT max(version) FROM metrics WHERE run_id = 1")
    assert [(version,) for version, _, _ in stored][-1:] == last
    for _, path, sha256 in stored:
        assert hashlib.sha256(Path(str(path)).read_bytes()).hexdigest() == sha256
        assert Path(str(path)).is_relative_to(lived.home / "runs" / "r1")


def test_the_settings_of_a_run_are_stored_with_it(lived: Lived) -> None:
    stored = lived.ask("SELECT settings_json FROM runs ORDER BY id")
    assert [Settings.model_validate_json(str(text)) for (text,) in stored] == [
        settings(workers=2),
        settings(workers=1),
    ]


def test_a_seed_gives_the_same_run_whatever_the_number_of_workers(lived: Lived) -> None:
    what = (  # a text has one number, in whatever run
        "number, group_no, instance, arm_id, policy_version, hex(tokens), code_id, status_id, score, solved, "
        "violations_id, hex(fingerprint)"
    )
    first, second = (
        lived.ask(f"SELECT {what} FROM attempts WHERE run_id = {run} ORDER BY number") for run in (1, 2)
    )
    assert first == second
    kinds = "'AttemptScored', 'TaskSolved', 'PolicyUpdated', 'GroupDropped'"
    order = f"SELECT type FROM events WHERE run_id = {{}} AND type IN ({kinds}) ORDER BY seq"
    assert lived.ask(order.format(1)) == lived.ask(order.format(2))


def test_no_process_outlives_its_run(lived: Lived) -> None:
    assert lived.left == set()
