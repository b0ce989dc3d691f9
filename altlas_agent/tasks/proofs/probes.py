"""Programs that break a limit, and the proof that it is enforced against them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from altlas_agent.core.records import Kind, Limits, Program, RunResult, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[[Program, Limits], RunResult]

GRACE_S = 2.0
"""How much later than its limit a verdict may come: ending and replacing a program takes time."""

_ENDLESS = {"python": "while True:\n    pass", "javascript": "while (true) {}"}
_FLOOD = {"python": 'print("x" * {chars})', "javascript": 'console.log("x".repeat({chars}));'}
_FUNCTION = {
    "python": "def {name}({params}):\n    {body}\n",
    "javascript": "function {name}({params}) {{\n    {body}\n}}\n",
}
_OUT_OF_TIME = (Status.TIMEOUT, Status.CPU_LIMIT)


def unenforced_limits(task: Task, run: Run, *, grace_s: float = GRACE_S) -> Iterator[str]:
    """One sentence for each limit that a program of the task's language and kind can pass."""
    yield from _endless(task, run, grace_s)
    yield from _flood(task, run)


def _endless(task: Task, run: Run, grace_s: float) -> Iterator[str]:
    begun = time.monotonic()
    result = run(_program(task, _ENDLESS[task.target_language]), task.limits)
    took_s = time.monotonic() - begun
    if result.status not in _OUT_OF_TIME:
        yield f"a program that never ends was not stopped by a time limit: {_shown(result)}"
    elif took_s > task.limits.wall_s + grace_s:
        yield f"a program that never ends was stopped after {took_s:.1f} s, but wall_s is {task.limits.wall_s:g}"


def _flood(task: Task, run: Run) -> Iterator[str]:
    cap = task.limits.output_kb * 1024
    body = _FLOOD[task.target_language].replace("{chars}", str(cap + 1024))
    result = run(_program(task, body), task.limits)
    if len(result.stdout) > cap:
        yield f"{len(result.stdout)} bytes of output were kept, but output_kb is {task.limits.output_kb}"
    elif result.status is not Status.OUTPUT_LIMIT or not result.stdout_truncated:
        yield f"a program that prints more than output_kb was not cut: {_shown(result)}"


def _program(task: Task, body: str) -> Program:
    """The body as a whole program, or inside the function that the task calls."""
    if task.kind is Kind.STDOUT or task.signature is None:
        return Program(language=task.target_language, code=body + "\n", stdin=task.cases[0].stdin)
    code = _FUNCTION[task.target_language].format(
        name=task.signature.name,
        params=", ".join(param.name for param in task.signature.params),
        body=body.replace("\n", "\n    "),
    )
    return Program(
        language=task.target_language, code=code, entry=task.signature.name, calls=(task.cases[0].args,)
    )


def _shown(result: RunResult) -> str:
    detail = result.stderr.decode("utf-8", "replace").strip()[-200:]
    return f"{result.status}{': ' if detail else ''}{detail}"
