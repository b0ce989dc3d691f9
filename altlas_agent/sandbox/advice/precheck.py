"""Static advice about a program before it runs, and the refusal that a setting may ask for.

Findings protect nobody: a program that wants to hide what it does can. What contains it is the jail, and a
check that fails, or a program too large or too broken to look at, means no advice.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Literal

import tree_sitter_javascript
from tree_sitter import Language, Parser

from altlas_agent.core.records import Finding, Program, Severity
from altlas_agent.core.text import safe
from altlas_agent.sandbox.advice.bandit_rules import bandit_findings
from altlas_agent.sandbox.advice.javascript_rules import javascript_findings
from altlas_agent.sandbox.advice.python_rules import python_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_CODE_CHARS = 64_000
MAX_FINDINGS = 50
MAX_MESSAGE_CHARS = 200

Threshold = Literal["none", "low", "medium", "high"]
"""The least severity for which a program is refused; `none` refuses nothing."""


def findings(language: str, code: str) -> tuple[Finding, ...]:
    """What the checks of a language see, the most severe first, at most `MAX_FINDINGS`.

    Never raises; empty for a language without checks, and for text that does not parse.
    """
    return _checked(language, code) if len(code) <= MAX_CODE_CHARS else ()


def objection(program: Program, threshold: Threshold) -> str:
    """Why a program is not to be run under this threshold, or "" when it may."""
    if threshold == "none":
        return ""
    least = Severity(threshold).rank
    grave = [each for each in findings(program.language, program.code) if each.severity.rank >= least]
    if not grave:
        return ""
    shown = "; ".join(f"line {f.line}: {f.message} ({f.rule}, {f.severity})" for f in grave[:5])
    more = f"; and {len(grave) - 5} more" if len(grave) > 5 else ""
    return f"sandbox.refuse_severity = {threshold}: {shown}{more}"


@lru_cache(maxsize=256)
def _checked(language: str, code: str) -> tuple[Finding, ...]:
    seen: list[Finding] = []
    for check in _CHECKS.get(language, ()):
        try:
            seen += islice(check(code), 10 * MAX_FINDINGS)
        except Exception:  # noqa: BLE001 - hostile text may break any parser: then there is no advice
            continue
    plain = dict.fromkeys(_harmless(each) for each in seen)
    return tuple(sorted(plain, key=lambda f: (-f.severity.rank, f.line, f.column, f.rule))[:MAX_FINDINGS])


def _harmless(finding: Finding) -> Finding:
    message = safe(finding.message, max_chars=MAX_MESSAGE_CHARS, keep_newlines=False)
    return Finding(
        rule=finding.rule,
        severity=finding.severity,
        line=finding.line,
        column=finding.column,
        message=message,
    )


def _python(code: str) -> Iterator[Finding]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes and comparisons in foreign text
        tree = ast.parse(code)
    return python_findings(tree, code)


def _bandit(code: str) -> Iterator[Finding]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return iter(list(bandit_findings(code)))


def _javascript(code: str) -> Iterator[Finding]:
    root = Parser(Language(tree_sitter_javascript.language())).parse(code.encode()).root_node
    return iter(()) if root.has_error else javascript_findings(root, code)


_CHECKS: dict[str, tuple[Callable[[str], Iterator[Finding]], ...]] = {
    "python": (_python, _bandit),
    "javascript": (_javascript,),
}
