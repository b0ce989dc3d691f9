"""What of the feedback on an attempt may be said to a policy: never a value of a hidden test.

Messages of interpreters quote values. Of a message stay its words, without numbers, without what stands in
quotes unless it names a type, and without words that occur in hidden tests only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from altlas_agent.core.records import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.core.records import Case, Judged, Task, ToolFeedback

MAX_CHARS = 200
"""Of what is said of one failure."""

TYPES = frozenset(
    {"int", "str", "list", "bool", "float", "tuple", "dict", "set", "range", "function", "NoneType"}
    | {"undefined", "null", "number", "string", "object", "boolean", "Array"}
)
_PIECE = re.compile(r"""'[^']*'?|"[^"]*"?|`[^`]*`?|[^\W\d_]+|[^\w\s'"`]""")
_WORD = re.compile(r"[^\W\d_]+")


def hidden_words(task: Task) -> frozenset[str]:
    """The words, in lower case, that only its hidden tests bring in."""
    hidden = _words_of(case for case in task.cases if case.hidden)
    visible = _words_of(case for case in task.cases if not case.hidden)
    return frozenset(hidden - visible - _words(task.description))


def told(judged: Judged, secrets: frozenset[str]) -> str:
    """What may be said of a failed attempt; `secrets` are the words of hidden tests of its task."""
    feedback = judged.feedback
    if feedback is None:
        return Fault.OTHER.value
    name = feedback.fault.value.replace("_", " ")
    return f"{name}: {_said(judged, feedback, secrets)}"[:MAX_CHARS].rstrip(": ")


def _said(judged: Judged, feedback: ToolFeedback, secrets: frozenset[str]) -> str:
    match feedback.fault:
        case Fault.WRONG_ANSWER:
            visible = [case.passed for case in judged.outcome.cases if not case.hidden]
            return f"{sum(visible)} of {len(visible)} visible tests passed"
        case Fault.CONSTRAINT:  # what a task asks of the text of a program is no secret
            return feedback.message
        case _:
            return public(feedback.message, secrets)


def public(message: str, secrets: frozenset[str]) -> str:
    """The words of a message that tell of the program, not of what it was tried on."""
    return " ".join(piece for piece in map(_unquoted, _PIECE.findall(message)) if _is_public(piece, secrets))


def _unquoted(piece: str) -> str:
    if piece[0] not in "'\"`":
        return piece
    inside = piece.strip("'\"`")
    return inside if inside in TYPES else ""


def _is_public(piece: str, secrets: frozenset[str]) -> bool:
    return bool(piece) and (piece in TYPES or piece.lower() not in secrets)


def _words_of(cases: Iterable[Case]) -> set[str]:
    return {
        word for case in cases for text in (case.args, case.stdin, case.expected) for word in _words(text)
    }


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
