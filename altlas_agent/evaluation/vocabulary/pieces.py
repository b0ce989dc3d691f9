"""What a survey of programs found: forms that no token says, and which tokens were needed."""

from __future__ import annotations

from altlas_agent.core.records import Record


class UnknownLine(Record):
    """A form that no token says, and how often it was met."""

    language: str
    shape: str
    count: int
    programs: int
    """In how many functions or programs."""
    sort: str
    """What was wanted where it stood, most often; `any` where that is never known."""
    holes: tuple[str, ...]
    """What stood in its holes, most often; `?` where that is not known."""
    example: str
    where: str


class Survey(Record):
    """What was read, and the forms that were not understood, most frequent first."""

    programs: int
    whole: int
    """How many of them the vocabulary says entirely."""
    pieces: tuple[UnknownLine, ...]
    used: dict[str, int]
    """How often each token occurs in what was read."""
    skipped: tuple[str, ...] = ()
    """Files that do not parse, or are too long, with the reason."""
