"""What people write means the same once it was read into tokens and rendered again."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Constraints
from altlas_agent.languages.encode.encode import encode
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import check
from tests.languages.programs import task_of

if TYPE_CHECKING:
    from altlas_agent.core.records import Task

ARGUMENTS = ([7, [3, 1, 2], "ab c"], [2, [], ""], [-3, [5, 5, -1, 4], "Hello World"])
SHORT = {"num": 0, "list": 1, "str": 2}

PYTHON = [
    (("num",), "num", "def f(n):\n    '''Halves.'''\n    n //= 2\n    n += 1\n    return n"),
    (("list",), "num", "def f(xs: list) -> int:\n    return sum(x * x for x in xs if x > 0)"),
    (("list",), "num", "def f(xs):\n    return max(xs)-min(xs) if len(xs) > 0 else 0"),
    (("num",), "num", "def f(n):\n    if n < 0:\n        return -n\n    elif n == 0:\n        return 0\n    else:\n        return n"),
    (("num",), "list", "def f(n):\n    out = []\n    for i in range(n):\n        out.append(i ** 2)\n    return out"),
    (("num", "list"), "num", "def f(n, xs):\n    a, b = 0, 1\n    for i in range(1, n):\n        a = a + b\n    return a"),
    (("str",), "str", "def f(s):\n    return f'{s}!' if 'x' not in s else s.upper()"),
    (("str", "num"), "str", "def f(s, n):\n    return f'{s} {n}'"),
    (("list",), "list", "def f(xs):\n    return sorted(xs, reverse=True)"),
    (("list",), "list", "def f(xs):\n    ys = xs.copy()\n    ys.sort()\n    return ys"),
    (("num",), "bool", "def f(n):\n    return 0 <= n < 10"),
    (("num", "str"), "str", "def f(n, s):\n    s += 'x'\n    s *= 2\n    n %= 10\n    n **= 2\n    n -= 1\n    return s + str(n)"),
    (("list",), "list", "def f(xs):\n    ys = [1, 2]\n    for x in xs:\n        ys += [x]\n    if 1 > 2: pass\n    return ys"),
    (("num", "list"), "bool", "def f(n, xs):\n    if not xs:\n        return False\n    return n not in xs"),
    (("str",), "str", "def f(s):\n    words = []\n    for w in s.split(' '):\n        words.append(w[::-1])\n    return ' '.join(words)"),
    (("num",), "num", "def f(n):\n    total = 0\n    for i in range(n, 0, -1):\n        total = total * 10 + i\n    return total"),
    (("list",), "num", "def f(xs):\n    return xs[-1] if len(xs) > 0 else 0"),
    (("list",), "num", "def f(xs): return len([x for x in xs if x % 2 != 0])"),
]  # fmt: skip

JAVASCRIPT = [
    (("num",), "num", "const f = n => { n *= 2; n++; return n };"),
    (("list",), "num", "const f = (xs) => xs.filter(x => x > 0).map(x => x ** 2).reduce((a, b) => a + b, 0)"),
    (("num",), "num", "function f(n) { if (n < 0) return -n; else if (n == 0) return 0; else return n }"),
    (("num",), "list", "function f(n) {\n  const out = [];\n  for (let i = 0; i < n; i++) out.push(i * i);\n  return out;\n}"),
    (("num",), "num", "function f(n) { let total = 0, k = 1; for (let i = n; i >= 1; i--) { total = total * 10 + i } return total + k }"),
    (("str", "num"), "str", "function f(s, n) { return `${s} ${n}` }"),
    (("list",), "list", "function f(xs) { return [...xs].sort((a, b) => a - b) }"),
    (("str",), "str", "function f(s) { return s.split('').reverse().join('') }"),
    (("num",), "bool", "function f(n) { return n % 2 === 0 ? true : false }"),
    (("num", "list"), "bool", "function f(n, xs) { return !xs.includes(n) && xs.length !== 0 }"),
    (("str",), "str", "function f(s) { let words = []; for (const w of s.split(' ')) { words.push(w.toUpperCase()) } return words.join(' ') }"),
    (("list",), "num", "function f(xs) { let best = 0; for (let i = 0; i < xs.length; i += 1) { if (xs[i] > best) best = xs[i] } return best }"),
]  # fmt: skip


def _task(params: tuple[str, ...], returns: str, language: str) -> Task:
    return task_of(params=params, returns=returns, language=language, numbers=(), strings=("x", "!"))


EVERYTHING = [("python", *each) for each in PYTHON] + [("javascript", *each) for each in JAVASCRIPT]


@pytest.mark.parametrize(("language", "params", "returns", "code"), EVERYTHING)
def test_what_is_said_is_a_program_of_the_grammar(
    language: str, params: tuple[str, ...], returns: str, code: str
) -> None:
    tokens = encode(_task(params, returns, language), code).tokens
    roomy = Constraints(max_tokens=200, require_constructs=("list",))
    check(task_of(params=(*params, "words"), returns=returns, strings=("x", "!"), constraints=roomy), tokens)


@pytest.mark.parametrize(("params", "returns", "code"), PYTHON)
def test_a_python_program_answers_as_before(params: tuple[str, ...], returns: str, code: str) -> None:
    task = _task(params, returns, "python")
    encoded = encode(task, code)
    assert encoded.is_whole, encoded.unknown
    after = render(task, encoded.tokens)
    for arguments in ARGUMENTS:
        chosen = [arguments[SHORT[name]] for name in params]
        assert _python(after, "solve", chosen) == _python(code, "f", chosen), after


def _python(code: str, name: str, arguments: list[object]) -> str:
    scope: dict[str, object] = {}
    exec(code, scope)
    function = scope[name]
    assert callable(function)
    return json.dumps(function(*json.loads(json.dumps(arguments))))


def test_javascript_programs_answer_as_before() -> None:
    programs: list[tuple[str, str, str]] = []
    for params, returns, code in JAVASCRIPT:
        task = _task(params, returns, "javascript")
        encoded = encode(task, code)
        assert encoded.is_whole, (code, encoded.unknown)
        after = render(task, encoded.tokens)
        for arguments in ARGUMENTS:
            chosen = json.dumps([arguments[SHORT[name]] for name in params])
            programs.append((f"{code}\n;return f(...{chosen})", f"{after}\nreturn solve(...{chosen})", after))
    answers = _node([part for before, after, _ in programs for part in (before, after)])
    for number, (_, _, after) in enumerate(programs):
        assert answers[2 * number] == answers[2 * number + 1], after
    assert all(answer is not None for answer in answers)


def _node(programs: list[str]) -> list[str | None]:
    script = f"""
        const answers = {json.dumps(programs)}.map((code) => JSON.stringify(new Function(code)()) ?? null);
        console.log(JSON.stringify(answers));
    """
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True, timeout=25)
    answers: list[str | None] = json.loads(done.stdout)
    return answers


# What reads as if it could be said, and would mean something else.
UNLIKE = [
    ("python", ("list",), "list", "def f(xs):\n    ys = [1]\n    zs = ys\n    zs.append(2)\n    return ys"),
    ("python", ("list",), "list", "def f(xs):\n    ys = [1]\n    zs = ys\n    zs += [2]\n    return ys"),
    ("python", ("list",), "num", "def f(xs):\n    if xs.pop(): pass\n    return xs[0]"),
    ("python", ("list",), "num", "def f(xs):\n    ys = [1]\n    for y in ys:\n        ys.append(y)\n    return 1"),
    ("python", ("list",), "num", "def f(xs):\n    sum = len\n    return sum(xs)"),
    ("python", ("num",), "num", "def f(n):\n    for i in range(n):\n        i = 0\n    return n"),
    ("python", ("num",), "num", "def f(n):\n    v = 0\n    for v in range(n):\n        n = n + v\n    return v"),
    ("python", ("num",), "num", "def f(n):\n    for k in range(n):\n        m = k\n    return m"),
    ("python", ("num",), "num", "def f(n):\n    if n > 0:\n        return 1"),
    ("javascript", ("num",), "num", "function f(n) { for (let i = 0; i < n; i++) { n = n - 1 } return n }"),
    ("javascript", ("num",), "num", "function f(n) { return n % 10 }"),
    ("javascript", ("num",), "num", "function f(n) { var k = 1; if (n > 0) { var k = 2 } return k }"),
    ("javascript", ("list",), "num", "function f(xs) { return xs.filter((x) => x === x).length }"),
    ("javascript", ("num",), "num", "function f(n) { return 3n }"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "params", "returns", "code"), UNLIKE)
def test_what_would_mean_something_else_is_not_said(
    language: str, params: tuple[str, ...], returns: str, code: str
) -> None:
    encoded = encode(_task(params, returns, language), code)
    if code.endswith("x === x).length }"):  # can be said, but not as the count of x
        assert encoded.is_whole
        assert "filter((v0) => v0 === v0).length" in render(_task(params, returns, language), encoded.tokens)
        return
    assert not encoded.is_whole
