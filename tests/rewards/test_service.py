"""What a worker process answers; a solution of a family must hold on its other instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Arm, Attempt, Case, Kind, Limits, Program, RunResult, Status, Task
from altlas_agent.core.requests import Execute, SetUpWorker
from altlas_agent.core.requests import Judge as JudgeRequest
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.rewards.combining import UNSOLVED_CEILING
from altlas_agent.rewards.service import EASIER, Service, verified
from altlas_agent.rewards.verdict import Judge
from altlas_agent.settings.run import Settings
from tests.rewards.conftest import PATIENT, WEIGHTS
from tests.sandbox.conftest import Tools, tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.sandbox.slots import Slots

__all__ = ["tools"]

SUM = "OUTPUT ADD NUM_0 NUM_1 END"
DOUBLE = "OUTPUT MUL NUM_0 INT_2 END"
DIFFERENCE = "OUTPUT SUB NUM_0 NUM_1 END"


def sum_of(*numbers: int) -> Task:
    """One instance of a family: print the sum."""
    return Task(
        id=f"t/sum#train-{numbers[0]}",
        suite="t",
        name="sum",
        description=f"Print the sum of {numbers[0]} and {numbers[1]}.",
        target_language="python",
        kind=Kind.STDOUT,
        cases=(Case(expected=f'"{sum(numbers)}"', hidden=True),),
        instance=numbers[0],
        numbers=numbers,
        limits=PATIENT,
    )


TASK, SIBLINGS = sum_of(3, 3), (sum_of(4, 4), sum_of(5, 1), sum_of(6, 2))


def attempt_of(tokens: str, *, task: Task = TASK, code: str | None = None) -> Attempt:
    numbers = vocabulary().numbers(tokens)
    return Attempt(
        number=7,
        group=1,
        task_id=task.id,
        code=render(task, numbers) if code is None else code,
        tokens=numbers,
        logps=(0.0,) * len(numbers),
        policy_version=0,
        arm=Arm.POLICY,
    )


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as started:
        started.set_up(SetUpWorker(settings=Settings().model_dump_json(), languages=("python",)))
        yield started


def ask(service: Service, tokens: str, siblings: tuple[Task, ...] = SIBLINGS) -> JudgeRequest:
    return JudgeRequest(task=TASK, attempt=attempt_of(tokens), siblings=siblings)


def test_set_up_tells_the_jail_that_works(service: Service) -> None:
    ready = service.set_up(SetUpWorker(settings=Settings().model_dump_json(), languages=("python",)))
    assert set(ready.rungs) == {"python"}
    assert {"net-ns", "rlimits"} <= set(ready.layers)


def test_a_solution_that_holds_on_its_siblings_is_one(service: Service) -> None:
    judged = service.judge(ask(service, SUM)).judged
    assert judged.attempt.number == 7
    assert (judged.score.solved, judged.score.value) == (True, 1.0)
    assert judged.fingerprint


def test_what_fits_one_instance_by_chance_is_refused_with_the_sibling_named(service: Service) -> None:
    judged = service.judge(ask(service, DOUBLE)).judged
    assert judged.outcome.violations == ("does not solve the instance t/sum#train-5",)
    assert not judged.score.solved
    assert judged.score.value == pytest.approx(UNSOLVED_CEILING * 2 / 4)
    assert judged.score.parts["tests"] == 1.0


def test_the_same_text_of_other_tokens_is_another_idea(service: Service) -> None:
    task = sum_of(2, 2)
    texts = [attempt_of(tokens, task=task) for tokens in (SUM, "OUTPUT ADD NUM_0 INT_2 END")]
    assert texts[0].code == texts[1].code
    solved = [
        service.judge(JudgeRequest(task=task, attempt=each, siblings=SIBLINGS)).judged.score.solved
        for each in texts
    ]
    assert solved == [True, False]


def test_a_failure_is_not_held_against_the_siblings(service: Service) -> None:
    judged = service.judge(ask(service, DIFFERENCE)).judged
    assert judged.outcome.violations == ()
    assert not judged.score.solved


def test_without_siblings_the_task_alone_decides(service: Service) -> None:
    assert service.judge(ask(service, DOUBLE, siblings=())).judged.score.solved


def test_a_sandbox_that_fails_on_a_sibling_has_shown_nothing(slots: Slots) -> None:
    def faulty_on_siblings(program: Program, limits: Limits) -> RunResult:
        if "4 + 4" in program.code:
            return RunResult(status=Status.INTERNAL)
        return slots.run(program, limits)

    judge = Judge(faulty_on_siblings, WEIGHTS)
    attempt = attempt_of(SUM)
    outcome, score = verified(judge, attempt, SIBLINGS, judge.judge(TASK, attempt.code))
    assert outcome.status is Status.INTERNAL
    assert not score.solved


def test_a_program_can_be_run_without_a_task(service: Service) -> None:
    request = Execute(program=Program(language="python", code="print(6 * 7)"), limits=Limits())
    assert service.execute(request).result.stdout == b"42\n"


def test_a_change_of_rung_is_told_once_with_the_next_answer(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"sandbox": {"allow_reduced": True, "result_cache": 0}})
    request = Execute(program=Program(language="bash", code="echo 1"), limits=Limits())
    with Service() as service:
        ready = service.set_up(SetUpWorker(settings=settings.model_dump_json(), languages=("bash",)))
        assert ready.rung_changes == service.execute(request).rung_changes == ()
        tools.vanish()
        changes = [service.execute(request).rung_changes for _ in range(2)]
        tools.come_back()
        monkeypatch.setattr("altlas_agent.sandbox.slots.time.monotonic", lambda: 10.0**9)
        changes += [service.execute(request).rung_changes for _ in range(2)]
    assert [[change.after for change in each] for each in changes] == [
        ["landlock"],
        [],
        ["bwrap-per-exec"],
        [],
    ]


def test_a_worker_that_is_not_set_up_says_so() -> None:
    with Service() as service:
        with pytest.raises(SandboxError, match="before it was set up"):
            service.judge(JudgeRequest(task=TASK, attempt=attempt_of(SUM)))
        with pytest.raises(SandboxError, match="before it was set up"):
            service.execute(Execute(program=Program(language="python", code=""), limits=Limits()))


def test_limits_of_a_task_stay_below_the_ceilings_of_the_settings() -> None:
    settings = Settings.model_validate({"sandbox": {"wall_s_ceiling": 0.5}})
    with Service() as service:
        service.set_up(SetUpWorker(settings=settings.model_dump_json(), languages=("python",)))
        task = msgspec.structs.replace(TASK, limits=Limits(wall_s=60.0))
        attempt = attempt_of(SUM, code="import time\ntime.sleep(30)")
        judged = service.judge(JudgeRequest(task=task, attempt=attempt)).judged
        assert judged.outcome.status is Status.TIMEOUT


def test_a_solution_of_an_easier_task_counts_for_nothing_but_order(service: Service) -> None:
    easier = msgspec.structs.replace(TASK, id=f"{TASK.id}~tests")
    judged = service.judge(JudgeRequest(task=easier, attempt=attempt_of(SUM, task=easier))).judged
    assert judged.outcome.passed == len(easier.cases)
    assert (judged.score.solved, judged.score.value) == (False, UNSOLVED_CEILING)
    assert judged.outcome.violations == (EASIER,)
