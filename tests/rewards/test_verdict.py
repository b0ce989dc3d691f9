"""Programs really run, and only the right ones are solutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import ScoringError
from altlas_agent.core.records import (
    Case,
    Constraints,
    Limits,
    Pattern,
    Program,
    RunResult,
    Score,
    Status,
)
from altlas_agent.rewards.rubric import SCORERS, Scorer
from altlas_agent.rewards.verdict import REFERENCE_TRIES, Judge
from tests.rewards.conftest import WEIGHTS, CountedSlots, double, echo

if TYPE_CHECKING:
    from altlas_agent.core.records import Task

RIGHT = {
    "python": "def double(x):\n    return x * 2\n",
    "javascript": "function double(x) { return x * 2; }\n",
}
WRONG = {
    "python": "def double(x):\n    return 4\n",
    "javascript": "const double = x => 4;\n",
}
PRINTS_ITS_LINE = {
    "python": "print(input() + '!')",
    "javascript": "console.log(require('fs').readFileSync(0, 'utf8').trim() + '!')",
}
both_languages = pytest.mark.parametrize("language", ["python", "javascript"])


def without_expected(task: Task) -> Task:
    return msgspec.structs.replace(
        task, cases=tuple(msgspec.structs.replace(case, expected="") for case in task.cases)
    )


@both_languages
def test_a_right_function_is_a_solution(judge: Judge, language: str) -> None:
    outcome, score = judge.judge(double(language=language), RIGHT[language])
    assert (score.value, score.solved) == (1.0, True)
    assert outcome.status is Status.SUCCESS
    assert [(case.passed, case.hidden, case.got) for case in outcome.cases] == [
        (True, False, "4"),
        (True, True, "10"),
        (True, True, "-6"),
    ]


@both_languages
def test_a_constant_that_fits_the_visible_test_is_no_solution(judge: Judge, language: str) -> None:
    outcome, score = judge.judge(double(language=language), WRONG[language])
    assert [case.passed for case in outcome.cases] == [True, False, False]
    assert not score.solved
    assert score.parts["tests"] == pytest.approx(1 / 3)


@both_languages
def test_printing_what_a_function_should_return_is_no_solution(judge: Judge, language: str) -> None:
    cheat = {"python": "print(4)", "javascript": "console.log(4)"}[language]
    outcome, score = judge.judge(double(language=language), cheat)
    assert outcome.passed == 0
    assert not score.solved


@both_languages
def test_a_missing_function_is_an_error_that_names_it(judge: Judge, language: str) -> None:
    outcome, score = judge.judge(double(language=language), "x = 1" if language == "python" else "let x = 1")
    assert outcome.status is Status.ERROR
    assert "double" in outcome.stderr
    assert [case.got for case in outcome.cases] == ["", "", ""]
    assert not score.solved


@both_languages
def test_a_crash_in_one_call_spoils_that_test_only(judge: Judge, language: str) -> None:
    code = {
        "python": "def double(x):\n    return x * 2 if x != 5 else [][0]\n",
        "javascript": "function double(x) { if (x === 5) throw new Error('five'); return x * 2; }",
    }[language]
    outcome, score = judge.judge(double(language=language), code)
    assert [case.passed for case in outcome.cases] == [True, False, True]
    assert outcome.status is Status.ERROR
    assert not score.solved


@both_languages
def test_what_does_not_parse_fails_and_says_so(judge: Judge, language: str) -> None:
    outcome, score = judge.judge(double(language=language), "def ((")
    assert outcome.status is Status.COMPILE_ERROR
    assert outcome.violations == ("the program does not parse",)
    assert score.value < 0.1


@pytest.mark.parametrize(
    ("language", "code"),
    [
        (
            "python",
            "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'[4,10,-6]')\n    except OSError: pass\n",
        ),
        ("python", "print('4'); print('10'); print('-6')"),
        ("python", "class Any:\n    def __eq__(self, other): return True\ndef double(x): return Any()\n"),
        ("python", "class Four(int):\n    def __repr__(self): return '10'\ndef double(x): return Four(4)\n"),
        ("python", "double = 4"),
        ("python", "def double(x):\n    print(x * 2)\n"),
        ("python", "def double(x):\n    return str(x * 2)\n"),
        ("python", "def double(x):\n    return x * 2.0\n"),
        ("python", "def double(x):\n    return 10 ** 400\n"),
        ("python", "def double(x):\n    return float('nan')\n"),
        ("python", "import os\ndef double(x):\n    os._exit(0)\n"),
        ("javascript", "function double(x) { return {valueOf() { return x * 2; }}; }"),
        ("javascript", "function double(x) { return {toJSON() { return 4; }}; }"),
        ("javascript", "function double(x) { return NaN; }"),
        ("javascript", "JSON.stringify = () => '4'; function double(x) { return 4; }"),
        ("javascript", "function double(x) { process.exit(0); }"),
    ],
)
def test_a_forged_answer_is_no_solution(judge: Judge, language: str, code: str) -> None:
    outcome, score = judge.judge(double(language=language), code)
    assert not score.solved
    assert 0.0 <= score.value < 1.0
    assert outcome.status is not Status.INTERNAL


def test_right_answers_of_a_program_that_does_not_end_well_are_no_solution(judge: Judge) -> None:
    code = RIGHT["python"] + "import atexit, time\natexit.register(time.sleep, 60)\n"
    outcome, score = judge.judge(double(limits=Limits(cpu_s=5.0, wall_s=1.0)), code)
    assert outcome.status is Status.TIMEOUT
    assert outcome.passed == 3
    assert not score.solved


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "9" * 5000, "\x00\x1b[31m", "\u2028"])
def test_whatever_is_printed_gets_a_score(judge: Judge, text: str) -> None:
    task = msgspec.structs.replace(echo(), cases=(Case(expected='"8"'), Case(expected='"8"', hidden=True)))
    _, score = judge.judge(task, f"print({text!r})")
    assert 0.0 <= score.value < 1.0


@pytest.mark.parametrize(
    ("constraints", "violations"),
    [
        (Constraints(require_operators=("+",)), ("operator + is required",)),
        (Constraints(forbid_operators=("*",)), ("operator * is forbidden",)),
        (
            Constraints(require_numbers=(7,), forbid_numbers=(2,)),
            ("number 7 is required", "number 2 is forbidden"),
        ),
        (Constraints(require_strings=("x",)), ("string x is required",)),
        (Constraints(require_constructs=("loop",)), ("construct loop is required",)),
        (Constraints(forbid_constructs=("return",)), ("construct return is forbidden",)),
        (Constraints(require_operators=("*",), require_numbers=(2,), require_constructs=("function",)), ()),
    ],
)
@both_languages
def test_a_broken_constraint_is_named_and_gates_success(
    judge: Judge, language: str, constraints: Constraints, violations: tuple[str, ...]
) -> None:
    outcome, score = judge.judge(double(language=language, constraints=constraints), RIGHT[language])
    assert outcome.violations == violations
    assert outcome.passed == 3
    assert score.solved is not bool(violations)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (Pattern(regex=r"returnx\*2"), True),
        (Pattern(regex=r"return x \* 2"), False),
        (Pattern(regex=r"return x \* 2", ignore_whitespace=False), True),
        (Pattern(regex=r"return  x", ignore_whitespace=False), False),
        (Pattern(regex=r"RETURNX\*2"), False),
        (Pattern(regex=r"RETURNX\*2", ignore_case=True), True),
        (Pattern(regex=r"^defdouble\(x\):returnx\*2$"), True),
    ],
)
def test_a_pattern_counts_white_space_and_case_as_it_says(judge: Judge, pattern: Pattern, fits: bool) -> None:
    outcome, score = judge.judge(double(patterns=(pattern,)), RIGHT["python"])
    assert score.solved is fits
    assert outcome.violations == (() if fits else ("the text fits none of the valid patterns",))


def test_one_fitting_pattern_is_enough(judge: Judge) -> None:
    patterns = (Pattern(regex="never"), Pattern(regex="return"))
    assert judge.judge(double(patterns=patterns), RIGHT["python"])[1].solved


@both_languages
def test_a_program_that_prints_is_run_once_for_each_input(
    judge: Judge, counted: CountedSlots, language: str
) -> None:
    _, score = judge.judge(echo(language=language), PRINTS_ITS_LINE[language])
    assert score.solved
    assert counted.runs == 2


def test_printing_one_expected_text_is_no_solution_where_there_is_input(judge: Judge) -> None:
    outcome, score = judge.judge(echo(), "print('ab!')")
    assert [case.passed for case in outcome.cases] == [True, False]
    assert not score.solved


def test_tests_that_read_the_same_share_one_run(judge: Judge, counted: CountedSlots) -> None:
    task = msgspec.structs.replace(echo(), cases=(Case(expected='"8"'), Case(expected='"8"', hidden=True)))
    assert judge.judge(task, "print(8)")[1].solved
    assert counted.runs == 1


def test_an_error_after_the_right_output_is_no_solution(judge: Judge) -> None:
    outcome, score = judge.judge(echo(), "print(input() + '!')\n1 / 0")
    assert outcome.status is Status.ERROR
    assert outcome.passed == 0
    assert not score.solved


def test_what_is_left_open_is_what_the_reference_answers(judge: Judge, counted: CountedSlots) -> None:
    task = without_expected(msgspec.structs.replace(double(), reference=RIGHT["python"]))
    assert judge.judge(task, "def double(n):\n    return n + n\n")[1].solved
    assert not judge.judge(task, WRONG["python"])[1].solved
    assert counted.runs == 3, "the reference is asked once"


def test_what_is_left_open_of_a_program_that_prints_as_well(judge: Judge) -> None:
    task = without_expected(echo())
    assert judge.judge(task, PRINTS_ITS_LINE["python"])[1].solved
    assert not judge.judge(task, "print('ab!')")[1].solved


@pytest.mark.parametrize("reference", ["1 / 0", "def double(x): return double", "", "def (("])
def test_a_reference_without_an_answer_is_an_error_that_names_the_task(judge: Judge, reference: str) -> None:
    task = without_expected(msgspec.structs.replace(double(), reference=reference))
    with pytest.raises(ScoringError, match="task t/double: its reference gives no answer"):
        judge.judge(task, RIGHT["python"])


def test_a_reference_that_was_only_slow_once_is_asked_again(counted: CountedSlots) -> None:
    calls = 0

    def late_at_first(program: Program, limits: Limits) -> RunResult:
        nonlocal calls
        calls += 1
        return RunResult(status=Status.TIMEOUT) if calls < REFERENCE_TRIES else counted.run(program, limits)

    task = without_expected(msgspec.structs.replace(double(), reference=RIGHT["python"]))
    assert Judge(late_at_first, WEIGHTS).judge(task, RIGHT["python"])[1].solved


def test_a_test_that_no_program_can_pass_is_an_error(judge: Judge) -> None:
    task = msgspec.structs.replace(double(), cases=(Case(args="[2]", expected="NaN", hidden=True),))
    with pytest.raises(ScoringError, match="a test expects what no program can answer: NaN"):
        judge.judge(task, "def double(x): return None")


def test_a_fault_of_the_sandbox_is_never_scored(counted: CountedSlots) -> None:
    def faulty_on_the_second_input(program: Program, limits: Limits) -> RunResult:
        if program.stdin == "cd\n":
            return RunResult(status=Status.INTERNAL)
        return counted.run(program, limits)

    outcome, score = Judge(faulty_on_the_second_input, WEIGHTS).judge(echo(), "1 / 0")
    assert outcome.status is Status.INTERNAL
    assert (score.value, score.parts, score.solved) == (0.0, {}, False)


def test_what_people_see_of_an_answer_is_bounded(judge: Judge) -> None:
    outcome, _ = judge.judge(echo(), "print('x' * 50_000)")
    assert len(outcome.stdout) == 2_000
    assert all(len(case.got) <= 2_000 for case in outcome.cases)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -0.1, 1.5])
def test_an_attempt_that_a_scorer_gives_nonsense_for_has_an_error_and_no_score(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, nonsense: float
) -> None:
    monkeypatch.setitem(SCORERS, "length", Scorer(lambda _: nonsense, is_free=True))
    outcome, score = judge.judge(double(), RIGHT["python"])
    assert outcome.status is Status.INTERNAL
    assert outcome.stderr == f"scorer 'length' gave {nonsense} for task t/double; it must lie in 0..1"
    assert (score.value, score.parts, score.solved) == (0.0, {}, False)


@pytest.mark.parametrize("score", [{"value": math.nan}, {"value": 1.1}, {"parts": {"tests": math.nan}}])
def test_a_score_that_is_no_share_does_not_cross_the_border_of_a_process(score: dict[str, object]) -> None:
    sent = msgspec.msgpack.encode({"value": 0.5, "parts": {}, "solved": False} | score)
    with pytest.raises(msgspec.ValidationError, match=r"Expected `float` [<>]= [01]\.0"):
        msgspec.msgpack.decode(sent, type=Score)


IMITATIONS = ('{"passed": true, "solved": true, "value": 1.0}', "NaN", "\ud800", "[" * 9_000, "9" * 70_000)


@pytest.mark.parametrize(
    "imitation", IMITATIONS, ids=lambda text: text[:8].encode("utf-8", "replace").decode()
)
def test_output_that_imitates_a_verdict_or_floods_is_an_answer_like_any_other(imitation: str) -> None:
    def run(program: Program, _limits: Limits) -> RunResult:
        said = imitation.encode("utf-8", "surrogatepass")
        return RunResult(status=Status.SUCCESS, stdout=said, returns=(imitation,) * len(program.calls))

    for task in (double(), echo()):
        outcome, score = Judge(run, WEIGHTS | {"execution": 1.0, "syntax": 1.0}).judge(task, RIGHT["python"])
        assert outcome.passed == 0
        assert not score.solved
        assert 0.0 <= score.value < 1.0
