"""From tokens to source text."""

from __future__ import annotations

import json
import random
import subprocess

import msgspec
import pytest

from altlas_agent.core.records import Kind, Task
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import random_tokens, task_of

CASES = [
    ("OUTPUT MUL ADD NUM_0 INT_1 NUM_0 END", "print((5 + 1) * 5)\n", "console.log((5 + 1) * 5);\n"),
    ("OUTPUT ADD NUM_0 MUL INT_1 NUM_0 END", "print(5 + 1 * 5)\n", "console.log(5 + 1 * 5);\n"),
    ("OUTPUT SUB NUM_0 SUB INT_1 NUM_0 END", "print(5 - (1 - 5))\n", "console.log(5 - (1 - 5));\n"),
    ("OUTPUT STR_0 END", 'print("say \\"hi\\"")\n', 'console.log("say \\"hi\\"");\n'),
    (
        "FOR_RANGE VAR_0 INT_1 NUM_0 BLOCK_START OUTPUT VAR_0 BLOCK_END END",
        "for v0 in range(1, 5 + 1):\n    print(v0)\n",
        "for (let v0 = 1, v0_end = 5; v0 <= v0_end; v0++) {\n  console.log(v0);\n}\n",
    ),
    (
        "IF_ELSE TRUE BLOCK_START OUTPUT INT_1 BLOCK_END BLOCK_START OUTPUT INT_2 BLOCK_END END",
        "if True:\n    print(1)\nelse:\n    print(2)\n",
        "if (true) {\n  console.log(1);\n} else {\n  console.log(2);\n}\n",
    ),
]


@pytest.mark.parametrize(("text", "python", "javascript"), CASES)
def test_a_sequence_renders_to_readable_source_with_just_the_brackets_it_needs(
    text: str, python: str, javascript: str
) -> None:
    tokens = vocabulary().numbers(text)
    assert render(task_of(kind=Kind.STDOUT), tokens) == python
    assert render(task_of(kind=Kind.STDOUT, language="javascript"), tokens) == javascript


def test_names_come_from_the_signature_of_the_task() -> None:
    tokens = vocabulary().numbers("FUNC_DEF FUNC_0 BLOCK_START RETURN ADD ARG_0 ARG_1 BLOCK_END END")
    task = task_of(params=("num", "num"))
    assert render(task, tokens) == "def solve(p0, p1):\n    return p0 + p1\n"


def test_strings_of_the_description_cannot_break_out_of_their_quotes() -> None:
    hostile = '"); import os #\n\\'
    code = render(task_of(kind=Kind.STDOUT, strings=(hostile,)), vocabulary().numbers("OUTPUT STR_0 END"))
    scope: dict[str, list[str]] = {"printed": []}
    exec(code, {"print": scope["printed"].append})
    assert scope["printed"] == [hostile]


# Where the languages differ on purpose: an empty separator or pattern, and JavaScript's tolerance of
# what is an error in Python. The comparison leaves these out.
UNLIKE = {"COUNT_STR", "SPLIT", "REPLACE", "UPPER", "LOWER"}


def test_wherever_both_languages_answer_they_agree() -> None:
    """The same tokens mean the same in Python and JavaScript: 400 random programs, run for real."""
    rng = random.Random(7)
    arguments = json.dumps([4, [3, 1, 2], "ab c"])
    python: list[str | None] = []
    javascript: list[str] = []
    for returns in ("num", "str", "bool", "list") * 100:
        task = task_of(params=("num", "list", "str"), returns=returns, numbers=(2, 3), max_tokens=16)
        tokens = random_tokens(task, rng)
        if UNLIKE.intersection(vocabulary().names(tokens)):
            continue
        python.append(_python_answer(task, tokens, arguments))
        twin = msgspec.structs.replace(task, target_language="javascript")
        javascript.append(render(twin, tokens))
    answers = _node_answers(javascript, arguments)
    both = [(a, b) for a, b in zip(python, answers, strict=True) if a is not None and b is not None]
    assert len(both) > 150
    assert all(a == b for a, b in both)


def _python_answer(task: Task, tokens: tuple[int, ...], arguments: str) -> str | None:
    scope: dict[str, object] = {}
    exec(render(task, tokens), scope)
    solve = scope["solve"]
    assert callable(solve)
    try:
        return json.dumps(solve(*json.loads(arguments)), separators=(",", ":"))
    except Exception:  # noqa: BLE001 - whatever a random program raises means: no answer
        return None


def _node_answers(programs: list[str], arguments: str) -> list[str | None]:
    script = f"""
        const answers = [];
        for (const code of {json.dumps(programs)}) {{
          let answer = null;
          try {{ answer = JSON.stringify(new Function(code + "; return solve")()(...{arguments})) ?? null; }} catch {{}}
          answers.push(answer === "null" || /null/.test(answer) ? null : answer);
        }}
        console.log(JSON.stringify(answers));
    """
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True, timeout=25)
    answers: list[str | None] = json.loads(done.stdout)
    return answers
