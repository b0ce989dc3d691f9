"""From a place in the source, or a trace, to the abstract tokens that are to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import ToolFeedback, Trace
    from altlas_agent.languages.render import Span

FALL = 0.5
"""What each step outwards from the error leaves of the weight."""

EXECUTED = 0.1
"""The weight of what ran when nothing tells where a program went wrong."""

_BLAMELESS = frozenset({Fault.NONE, Fault.INFRASTRUCTURE, Fault.REFUSED})
_TOO_MUCH = frozenset({Fault.TIMEOUT, Fault.CPU, Fault.MEMORY, Fault.OUTPUT})

_UNPLACED = _TOO_MUCH | {Fault.WRONG_ANSWER, Fault.CONSTRAINT}

_Position = tuple[int, int]
_Range = tuple[_Position, _Position]


def blame(spans: Sequence[Span], feedback: ToolFeedback, trace: Trace | None) -> tuple[float, ...]:
    """A weight in 0..1 for each token, given where the tokens lie.

    An error with a place: 1 for the tokens in the smallest span around it, and `FALL` of the weight for
    each wider span. Too much of something: by how often the token's line was reached. Otherwise
    `EXECUTED`. What a trace shows was never reached weighs nothing.
    """
    if feedback.fault in _BLAMELESS:
        return (0.0,) * len(spans)
    counts = dict(trace.lines) if trace is not None else {}
    error = _range(spans, feedback, trace)
    if error is not None:
        weights = _around(spans, error)
    elif counts and feedback.fault in _TOO_MUCH:
        weights = [counts.get(span.start_line, 0) / max(counts.values()) for span in spans]
    else:
        weights = [EXECUTED] * len(spans)
    return tuple(
        weight if not counts or span.start_line in counts else 0.0
        for span, weight in zip(spans, weights, strict=True)
    )


def _range(spans: Sequence[Span], feedback: ToolFeedback, trace: Trace | None) -> _Range | None:
    """Where the error lies; the whole line when its column is not known."""
    if feedback.fault in _UNPLACED:
        return None
    place = trace.place if trace is not None and trace.complete else None
    if place is not None and place.column and place.line == (feedback.line or place.line):
        end = (place.end_line, place.end_column) if place.end_line else (place.line, place.column + 1)
        return (place.line, place.column), end
    if feedback.line and feedback.column:
        return (feedback.line, feedback.column), (feedback.line, feedback.column + 1)
    return _text_of(spans, feedback.line)


def _text_of(spans: Sequence[Span], line: int) -> _Range | None:
    """From the first to the last place that tokens which start on a line have on it."""
    on_it = [span for span in spans if span.start_line == line]
    ends = [span.end_column for span in on_it if span.end_line == line]
    if not on_it:
        return None
    start = min(span.start_column for span in on_it)
    return (line, start), (line, max(ends, default=start))


def _around(spans: Sequence[Span], error: _Range) -> list[float]:
    """By how many spans around the error one must go outwards to find the token.

    What lies in the smallest span but starts below the error is a body that the error is not about.
    """
    circles = sorted({span for span in spans if _holds(span, *error)}, key=_size)
    if not circles:
        return [EXECUTED] * len(spans)
    weights: list[float] = []
    for span in spans:
        steps = next((n for n, circle in enumerate(circles) if _holds(circle, span[:2], span[2:])), None)
        if steps is None:
            weights.append(0.0)
        elif span.start_line > error[1][0]:
            weights.append(min(EXECUTED, FALL**steps))
        else:
            weights.append(FALL**steps)
    return weights


def _holds(span: Span, start: _Position, end: _Position) -> bool:
    return span[:2] <= start and end <= span[2:]


def _size(span: Span) -> tuple[int, int]:
    return span.end_line - span.start_line, span.end_column - span.start_column
