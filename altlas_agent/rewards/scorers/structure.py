"""What a program is made of against what its task asks for, and the tags of an answer that was written with some.

Tags: `<think>` around thoughts, `<answer>` around the program. A text without any of them is a bare program.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Constraints, Task

DELIMITERS = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
"""Each of them is to be there once."""

_TAG = re.compile(r"<(/?)(think|answer)>")
_FENCE = re.compile(r"\A\s*```[^\n]*\n(.*?)\n?```\s*\Z", re.DOTALL)


def kept_share(task: Task, broken: int) -> float:
    """The share of a task's rules that a program keeps, of which it breaks so many; 1 where there are none."""
    rules = _count(task.constraints) + bool(task.patterns)
    return 1.0 - min(broken, rules) / rules if rules else float(not broken)


def _count(constraints: Constraints) -> int:
    asked = (
        *(constraints.require_operators, constraints.forbid_operators),
        *(constraints.require_numbers, constraints.forbid_numbers),
        *(constraints.require_strings, constraints.forbid_strings),
        *(constraints.require_constructs, constraints.forbid_constructs),
    )
    return sum(map(len, asked))


def tag_count(text: str) -> float:
    """A quarter for each of the four delimiters that occurs exactly once."""
    return sum(text.count(delimiter) == 1 for delimiter in DELIMITERS) / len(DELIMITERS)


class Tagged(NamedTuple):
    """What the tags of a text say. `answer` is what stands in the first pair of its kind, "" without one."""

    has_tags: bool
    balanced: bool
    ordered: bool
    answers: int
    answer: str


def read_tags(text: str) -> Tagged:
    """Balanced: every tag that opens is closed before another opens. Ordered: thoughts first, the answer last.

    A pair around nothing is no pair: empty tags would be free.
    """
    found = list(_TAG.finditer(text))
    pairs: list[tuple[str, str]] = []
    balanced = len(found) % 2 == 0
    for first, second in zip(found[::2], found[1::2], strict=False):
        fits = not first[1] and second[1] == "/" and first[2] == second[2]
        inside = text[first.end() : second.start()]
        balanced = balanced and fits and bool(inside.strip())
        if fits and inside.strip():
            pairs.append((first[2], inside))
    kinds = [kind for kind, _ in pairs]
    answers = [inside for kind, inside in pairs if kind == "answer"]
    return Tagged(
        has_tags=bool(found),
        balanced=bool(found) and balanced,
        ordered=kinds == ["think", "answer"] and not text[: found[0].start()].strip(),
        answers=len(answers),
        answer=_unfenced(answers[0]) if answers else "",
    )


def format_score(text: str, is_program: Callable[[str], bool]) -> float:
    """How well a text keeps to the form of an answer: a quarter each for balanced tags, thoughts before the answer,
    an answer that is a program, and one answer only.

    A bare program has nothing to keep: 1 if it is one, else 0. The weights of the four are ours.
    """
    tags = read_tags(text)
    if not tags.has_tags:
        return 1.0 if is_program(text) else 0.0
    parses = bool(tags.answer) and is_program(tags.answer)
    return (tags.balanced + tags.ordered + parses + (tags.answers == 1)) / 4.0


def _unfenced(text: str) -> str:
    fenced = _FENCE.match(text)
    return fenced[1] if fenced else text.strip()
