"""Attempts of the size by which the store is measured: 1.5 KB of code, 0.5 KB of output, 12 rewards.

A quarter of the programs come twice, a tenth solves its task, mostly with what solved it before, many write
the same, and two scores in five are new: so it is in a run of the quick-start suite, whose programs are shorter.
The lines are made of a few shapes with names and numbers put in, so that they are as alike as programs are.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING

from altlas_agent.core.records import (
    Arm,
    Attempt,
    Case,
    CaseResult,
    Fault,
    Judged,
    Kind,
    Outcome,
    Score,
    Status,
    Task,
    ToolFeedback,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

CODE_CHARS = 1500
STDOUT_CHARS = 500
TOKENS = 24
TASKS = tuple(f"bench/task-{number}" for number in range(12))
REWARDS = tuple(f"component_{number}" for number in range(12))

_SOLVED = 0.1
_DUPLICATES = {True: 0.7, False: 0.2}
"""How many programs were written before, among those that solve their task and among the others."""

_OUTPUTS = 40
_NAMES = [
    f"{noun}{ending}"
    for noun in ("total", "count", "value", "item", "index", "left", "right", "node", "data", "key", "row")
    for ending in ("", "_1", "s", "_old")
]
_LINES = (
    "{a} = {b} + {n}",
    "for {a} in range({n}):",
    "    {a}.append({b} * {n})",
    "if {a} % {n} == 0 and {b} > {n}:",
    "    print({a}, {b})",
    "def {a}_{n}({b}, {a}):",
    "    return {a} - {b} // {n}",
    "while {a} < {n}:",
    "    {a} += {n}",
    "{a} = [{b} for {b} in {a} if {b} != {n}]",
    "try:",
    "    {a} = int({b})",
    "except ValueError:",
    "    {a} = {n}",
    "print(sum({a}) / len({b}))",
    "{a} = sorted({b}, key=lambda x: -x[{n}])",
)


def attempts(*, first: int, chance: random.Random) -> Iterator[Judged]:
    """Endless, numbered from `first`."""
    outputs = [_text(chance, STDOUT_CHARS) for _ in range(_OUTPUTS)]
    written: dict[bool, list[str]] = {True: [], False: []}
    for number in count(first):
        solved = chance.random() < _SOLVED
        before = written[solved]
        is_old = before and chance.random() < _DUPLICATES[solved]
        code = chance.choice(before) if is_old else _text(chance, CODE_CHARS)
        written[solved] = [*before[-200:], code]
        yield _judged(number, code, chance.choice(outputs), solved=solved, chance=chance)


def task(key: str) -> Task:
    """The task that attempts with this key are at."""
    suite, _, name = key.partition("/")
    return Task(
        id=f"{key}#0",
        suite=suite,
        name=name,
        description="Write a program that prints the numbers",
        target_language="python",
        kind=Kind.STDOUT,
        cases=tuple(Case(expected=str(number), hidden=number > 1) for number in range(4)),
        instance=0,
    )


def _judged(number: int, code: str, stdout: str, *, solved: bool, chance: random.Random) -> Judged:
    value = chance.random() * 0.95
    fault = Fault.NONE if solved else Fault.WRONG_ANSWER
    return Judged(
        attempt=Attempt(
            number=number,
            group=number // 8,
            task_id=f"{TASKS[number // 8 % len(TASKS)]}#{number // 8 % 50}",
            code=code,
            tokens=tuple(chance.randrange(300) for _ in range(TOKENS)),
            logps=tuple(-chance.randrange(4096) / 512 for _ in range(TOKENS)),
            policy_version=number // 64,
            arm=Arm.POLICY,
        ),
        outcome=Outcome(
            status=Status.SUCCESS
            if solved
            else chance.choice((Status.SUCCESS, Status.ERROR, Status.TIMEOUT)),
            cases=tuple(
                CaseResult(passed=solved, hidden=place > 1, got=str(chance.randrange(20)))
                for place in range(4)
            ),
            violations=() if solved else ("operator + is required",),
            stdout=stdout,
            cpu_s=chance.random(),
            wall_s=chance.random(),
            max_rss_mb=chance.randrange(80, 120) / 8,
            rung="zygote-full",
            engine="cpython",
        ),
        score=Score(
            value=1.0 if solved else chance.choice((0.1, 0.25, 0.4, value, value)),
            parts={name: chance.choice((0.0, 0.5, 1.0, chance.random())) for name in REWARDS},
            solved=solved,
        ),
        fingerprint=blake2b(code.encode(), digest_size=16).hexdigest(),
        feedback=ToolFeedback(
            fault=fault, severity=0.4, message="0 of 4 tests passed", blame=(0.1,) * TOKENS
        ),
    )


def _text(chance: random.Random, chars: int) -> str:
    lines: list[str] = []
    length = 0
    while length < chars:
        a, b = chance.choice(_NAMES), chance.choice(_NAMES)
        lines.append(chance.choice(_LINES).format(a=a, b=b, n=chance.randrange(1000)))
        length += len(lines[-1]) + 1
    return "\n".join(lines)
