"""What of the feedback on an attempt may be said to a policy: never a value of a hidden test.

Messages of interpreters quote values. Of a message stay its words, without numbers, without what stands in
quotes unless it names a type, and without words that occur in hidden tests only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Beside, Fault
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.core.records import Case, Judged, Task, ToolFeedback
    from altlas_agent.core.states import TaskFeedback
    from altlas_agent.settings.learners.feedback import FeedbackSettings

MAX_CHARS = 200
"""Of what is said of one failure."""

MAX_CONTEXT_CHARS = 8_000
"""Of earlier code; how many words of it are read is up to the policy."""

TYPES = frozenset(
    {"int", "str", "list", "bool", "float", "tuple", "dict", "set", "range", "function", "NoneType"}
    | {"undefined", "null", "number", "string", "object", "boolean", "Array"}
)
_PIECE = re.compile(r"""'[^']*'?|"[^"]*"?|`[^`]*`?|[^\W\d_]+|[^\w\s'"`]""")
_WORD = re.compile(r"[^\W\d_]+")


def beside(task: Task, past: TaskFeedback | None, settings: FeedbackSettings) -> Beside:
    """What a policy reads beside the description of `task`, as the settings want it; nothing without a past."""
    if past is None:
        return Beside()
    error = past.error if settings.error_text else ""
    return Beside(error=error, context=_context(task, past, settings))


def _context(task: Task, past: TaskFeedback, settings: FeedbackSettings) -> str:
    """The best program so far: in the language of the task, with its own literals, or as abstract tokens."""
    if past.best is None or settings.context == "none":
        return ""
    try:
        if settings.context == "code":
            return render(task, past.best.tokens)[:MAX_CONTEXT_CHARS]
        return " ".join(vocabulary().names(past.best.tokens))[:MAX_CONTEXT_CHARS]
    except LanguageError:  # it was written for an instance with more literals than this one
        return ""


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
