"""What a run remembers of failures: which programs, how often, of what, and nothing of hidden tests."""

from __future__ import annotations

import msgspec
import pytest

from altlas_agent.core.records import (
    Beside,
    Case,
    Fault,
    Group,
    GroupPlan,
    Judged,
    Status,
    ToolFeedback,
)
from altlas_agent.core.states import FeedbackMemory, NearMiss, TaskFeedback
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.rewards.past.memory import FADES, remembered
from altlas_agent.rewards.past.texts import beside, hidden_words, public, told
from altlas_agent.settings.learners.feedback import FeedbackSettings
from tests.builders import make_judged, make_task

ON = FeedbackSettings(remember=True)
TASK = make_task()


def failed(
    number: int, *, program: str, fault: Fault = Fault.TYPE, score: float = 0.2, message: str = "TypeError"
) -> Judged:
    feedback = ToolFeedback(fault=fault, severity=0.8, message=message, blame=(0.0, 1.0, 0.5))
    judged = make_judged(number, score=score)
    return msgspec.structs.replace(judged, fingerprint=program, feedback=feedback)


def after(*groups: tuple[Judged, ...], settings: FeedbackSettings = ON) -> TaskFeedback:
    memory = FeedbackMemory()
    for number, judged in enumerate(groups):
        plan = GroupPlan(group=number, task=TASK, size=len(judged), first_number=judged[0].attempt.number)
        memory = remembered(memory, Group(plan=plan, judged=judged), settings)
    return memory.tasks.get(TASK.key, TaskFeedback())


def test_nothing_is_remembered_while_it_is_off() -> None:
    assert after((failed(1, program="a"),), settings=FeedbackSettings()) == TaskFeedback()


def test_a_program_that_fails_again_is_counted_and_its_share_told() -> None:
    found = after(
        (failed(1, program="a"), failed(2, program="b")),
        (failed(3, program="b", fault=Fault.TIMEOUT), failed(4, program="c"), failed(5, program="b")),
    )
    assert {name: each.times for name, each in found.failed.items()} == {"a": 1, "c": 1, "b": 3}
    assert found.faults == {"type": 4, "timeout": 1}
    assert found.repeated == pytest.approx(2 / 3)
    assert found.recent["type"] == pytest.approx(2 * FADES + 2)


def test_programs_beyond_the_bound_are_forgotten_oldest_first() -> None:
    settings = FeedbackSettings(remember=True, programs=2)
    found = after(tuple(failed(number, program=f"p{number}") for number in range(1, 5)), settings=settings)
    assert list(found.failed) == ["p3", "p4"]


def test_the_best_program_is_no_solution_and_of_equals_the_shortest() -> None:
    near = failed(1, program="a", score=0.6)
    short = msgspec.structs.replace(
        failed(2, program="b", score=0.6),
        attempt=msgspec.structs.replace(near.attempt, number=2, tokens=(1, 2), logps=(0.0, 0.0)),
    )
    found = after((near, short, make_judged(3, score=1.0, solved=True)))
    assert found.best is not None
    assert (found.best.tokens, found.best.score) == ((1, 2), 0.6)


def test_what_the_sandbox_failed_on_says_nothing() -> None:
    broken = msgspec.structs.replace(
        failed(1, program="a"), outcome=make_judged(1, status=Status.INTERNAL).outcome
    )
    assert after((broken,)).failed == {}


def test_tokens_are_blamed_by_the_share_of_failures_and_the_blame_fades() -> None:
    groups = [(failed(1, program="a"), failed(2, program="b", message="other"))]
    assert after(*groups).blamed == {20: pytest.approx(0.8), 300: pytest.approx(0.4)}
    found = after(*groups, (make_judged(3, score=1.0, solved=True),))
    assert found.blamed == {20: pytest.approx(0.64), 300: pytest.approx(0.32)}


def test_a_memory_goes_through_a_checkpoint_unchanged() -> None:
    memory = FeedbackMemory(tasks={TASK.key: after((failed(1, program="a"), failed(2, program="b")))})
    data = msgspec.msgpack.encode(memory)
    assert msgspec.msgpack.decode(data, type=FeedbackMemory) == memory
    assert FeedbackMemory() == FeedbackMemory(tasks={})


def test_a_message_loses_numbers_quoted_values_and_words_of_hidden_tests() -> None:
    task = msgspec.structs.replace(
        TASK,
        cases=(
            Case(args='["open"]', expected='"shut"'),
            Case(args='["secret open"]', expected="41", hidden=True),
        ),
    )
    secrets = hidden_words(task)
    assert secrets == {"secret"}
    message = "ValueError: invalid literal for int() with base 10: 'abc' Secret open 41 'str'"
    assert public(message, secrets) == "ValueError : invalid literal for int ( ) with base : open str"


def test_a_wrong_answer_is_told_by_its_visible_tests_only() -> None:
    judged = failed(1, program="a", fault=Fault.WRONG_ANSWER, message="1 of 2 tests passed, got 'hidden'")
    assert told(judged, frozenset()) == "wrong answer: 1 of 1 visible tests passed"


def test_what_is_told_of_a_failure_is_bounded() -> None:
    assert len(told(failed(1, program="a", message="word " * 10_000), frozenset())) <= 200


SUM = ("OUTPUT", "ADD", "NUM_0", "NUM_1", "END")


def past_of(*names: str) -> TaskFeedback:
    tokens = tuple(vocabulary().number[name] for name in names)
    return TaskFeedback(groups=1, error="type: TypeError", best=NearMiss(tokens=tokens, score=0.5))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (FeedbackSettings(remember=True), Beside()),
        (FeedbackSettings(remember=True, error_text=True), Beside(error="type: TypeError")),
        (FeedbackSettings(remember=True, context="code"), Beside(context="print(5 + 3)\n")),
        (FeedbackSettings(remember=True, context="tokens"), Beside(context="OUTPUT ADD NUM_0 NUM_1 END")),
    ],
)
def test_what_stands_beside_the_description_is_what_the_settings_ask_for(
    settings: FeedbackSettings, expected: Beside
) -> None:
    assert beside(TASK, past_of(*SUM), settings) == expected
    assert beside(TASK, None, settings) == Beside()


def test_code_that_this_instance_has_no_literals_for_is_left_out() -> None:
    settings = FeedbackSettings(remember=True, context="code")
    assert beside(TASK, past_of("OUTPUT", "NUM_2", "END"), settings) == Beside()
