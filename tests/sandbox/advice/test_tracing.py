"""Failing Python programs run once more under watch, in the real jail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Limits, Place, Program, Trace
from altlas_agent.sandbox.advice.tracing import read_trace, trace
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.slots import Options, Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(cpu_s=3.0, wall_s=5.0)


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    with Slots(Options(result_cache=0)) as started:
        yield started


def _trace(slots: Slots, code: str, call: str = "", stdin: str = "") -> Trace | None:
    entry, calls = ("solve", (call,)) if call else ("", ())
    program = Program(language="python", code=code, entry=entry, calls=calls, stdin=stdin)
    return trace(slots.run, program, LIMITS)


def test_a_trace_has_lines_counts_last_values_and_the_place_of_the_error(slots: Slots) -> None:
    code = (
        "def solve(items):\n    total = 0\n    for item in items:\n        total = total + item\n"
        "    if total > 100:\n        return 1\n    return total / 0\n"
    )
    seen = _trace(slots, code, "[[1, 2]]")
    assert seen is not None
    assert dict(seen.lines) == {1: 1, 2: 1, 3: 3, 4: 2, 5: 1, 7: 1}
    assert seen.values["solve"] == {"items": "[1, 2]", "total": "3", "item": "2"}
    assert seen.place == Place(line=7, column=12, end_line=7, end_column=21)
    assert seen.complete


def test_a_script_is_watched_with_its_standard_input(slots: Slots) -> None:
    seen = _trace(slots, "text = input()\nn = int(text)\nprint(n)\n", stdin="7\n")
    assert seen is not None
    assert seen.values["<module>"] == {"text": "'7'", "n": "7"}
    assert seen.place is None


def test_columns_are_characters_not_bytes(slots: Slots) -> None:
    seen = _trace(slots, "x = '\u00e9\u00e9' + 1\n")
    assert seen is not None
    assert seen.place == Place(line=1, column=5, end_line=1, end_column=13)


def test_an_endless_loop_is_watched_for_a_while_and_the_trace_says_so(slots: Slots) -> None:
    seen = _trace(slots, "n = 0\nwhile True:\n    n += 1\n")
    assert seen is not None
    assert not seen.complete
    assert dict(seen.lines)[3] > 1000
    assert int(seen.values["<module>"]["n"]) > 1000


def test_a_program_that_does_not_parse_has_no_line_reached(slots: Slots) -> None:
    assert _trace(slots, "def f(:\n") == Trace()


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(0)\n",
        "import os\nos.kill(os.getpid(), 9)\nos._exit(1)\n",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        "x = 10 ** 10 ** 9\n",
    ],
    ids=["leaves", "kills", "catches all", "never steps"],
)
def test_a_program_that_does_not_let_itself_be_watched_has_no_trace(slots: Slots, code: str) -> None:
    before = slots.alive("python")
    assert _trace(slots, code) is None
    assert slots.alive("python") == before


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def __repr__(self): raise ValueError\n    def __len__(self): return -1\nx = A()\ny = 1\n1 / 0\n",
        "class L(list):\n    def __iter__(self): raise SystemExit\nx = L()\ny = 1\n1 / 0\n",
        "x = []\nx.append(x)\ny = 1\n1 / 0\n",
        "x = {i: [i] * 9 for i in range(99)}\ny = 1\nz = 10 ** 5000\n1 / 0\n",
        "v = {('v%d' % i): i for i in range(5000)}\ny = 1\nglobals().update(v)\n1 / 0\n",
    ],
    ids=["repr", "derived", "cycle", "large", "many"],
)
def test_odd_values_do_not_get_in_the_way(slots: Slots, code: str) -> None:
    seen = _trace(slots, code)
    assert seen is not None
    assert seen.values["<module>"]["y"] == "1"
    assert all(len(text) <= 80 for text in seen.values["<module>"].values())
    assert len(seen.values["<module>"]) <= 12


def test_a_runner_without_the_harness_is_sent_its_text() -> None:
    cold = ColdPython(Jailer(uid=unprivileged(0)), python_engine("auto"))
    seen = trace(cold.run, Program(language="python", code="x = 1\ny = x / 0\n"), LIMITS)
    cold.close()
    assert seen is not None
    assert seen.lines == ((1, 1), (2, 1))
    assert seen.values == {"<module>": {"x": "1"}}


def test_javascript_is_not_watched(slots: Slots) -> None:
    assert trace(slots.run, Program(language="javascript", code="x.y"), LIMITS) is None


def test_the_program_cannot_put_words_into_a_trace_that_do_not_fit(slots: Slots) -> None:
    forged = "import sys\nsys.modules['__main__'].__dict__['x'] = 1\nprint('{\"lines\": []}')\n1 / 0\n"
    seen = _trace(slots, forged)
    assert seen is not None
    assert [line for line, _ in seen.lines] == [1, 2, 3, 4]


ANSWERS = st.fixed_dictionaries(
    {
        "lines": st.lists(st.tuples(st.integers(), st.integers())),
        "values": st.dictionaries(st.text(), st.dictionaries(st.text(), st.text())),
        "place": st.none() | st.lists(st.none() | st.integers(-5, 400), max_size=5),
        "complete": st.booleans(),
    }
)
NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text(), ANSWERS.map(json.dumps) | NONSENSE.map(json.dumps) | st.text())
def test_whatever_comes_out_of_the_jail_is_a_bounded_trace_or_none(code: str, text: str) -> None:
    seen = read_trace(code, text)
    if seen is not None:
        assert all(1 <= line <= len(code) + 1 for line, _ in seen.lines)
        assert all(len(name) <= 80 for values in seen.values.values() for name in values)


@pytest.mark.parametrize("text", ["[" * 100_000, "", "null", '{"lines": [[1e300, 1]]}'])
def test_broken_answers_are_no_trace(text: str) -> None:
    assert read_trace("x = 1\n", text) is None
