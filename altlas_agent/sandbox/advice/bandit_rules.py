"""Static advice about Python programs from Bandit, run in this process on text that never touches a disk.

Bandit is loaded when it is first asked for: it takes a fifth of a second, and most processes never ask.
"""

from __future__ import annotations

import io
import logging
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from altlas_agent.core.records import Finding, Severity
from altlas_agent.sandbox.advice.python_rules import character_column, source_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CHARS = 16_000
"""Some of Bandit's patterns take time that grows with the square of a text."""

_NAME = "./program.py"
_LEFT_OUT = frozenset({"B101", "B102", "B307", "B311", "B404"})
"""Assertions and chance are no danger here; the others our own rules say."""


class _Issue(Protocol):
    test_id: str
    severity: str
    lineno: int
    col_offset: int
    text: str


class _Tester(Protocol):
    results: list[_Issue]


class _Visitor(Protocol):
    tester: _Tester

    def process(self, data: str) -> object: ...


def bandit_findings(code: str) -> Iterator[Finding]:
    """What Bandit says. Raises whatever Bandit raises; comments in the program do not silence it."""
    if len(code) > MAX_CHARS:
        return
    visitor = _bandit()(code)
    visitor.process(code)
    lines = source_lines(code)
    for issue in visitor.tester.results:
        line = max(1, issue.lineno)
        text = lines[line - 1] if line <= len(lines) else ""
        yield Finding(
            rule=issue.test_id,
            severity=Severity(issue.severity.lower()),
            line=line,
            column=character_column(text, issue.col_offset),
            message=issue.text,
        )


@cache
def _bandit() -> Callable[[str], _Visitor]:
    show = warnings.formatwarning
    config, tests, visitors, metrics, trees = (
        import_module(f"bandit.core.{name}")
        for name in ("config", "test_set", "node_visitor", "metrics", "meta_ast")
    )
    warnings.formatwarning = show  # it puts its own in place
    log = logging.getLogger("bandit")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    chosen = tests.BanditTestSet(config.BanditConfig(), {"exclude": _LEFT_OUT})

    def visitor(code: str) -> _Visitor:
        data = io.BytesIO(code.encode())
        made = visitors.BanditNodeVisitor(
            _NAME, data, trees.BanditMetaAst(), chosen, False, {}, metrics.Metrics()
        )
        return cast("_Visitor", made)

    return visitor
