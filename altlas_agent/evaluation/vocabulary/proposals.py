"""A proposal to change the vocabulary: a JSON file that `propose` writes, a person completes and `apply` checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import LanguageError, NotFoundError, boundary
from altlas_agent.core.records import Record
from altlas_agent.languages.tokens.maps import Template  # noqa: TC001 - msgspec reads the types of fields

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = (
    "Complete what '?' stands for, delete what is not wanted, then: altlas vocab apply THIS_FILE --to FOLDER. "
    "'sort' is what the token produces (num, str, bool, list, words or statement), 'holes' what it asks for, "
    "in the order of {0}, {1} ... in the syntax of every language. 'level' says how tightly the text binds and "
    "'needs' how tightly what fills each hole must; see the templates in configs/languages."
)
UNKNOWN = "?"


class Addition(Record):
    """A token to be added. What stands behind `syntax` is only told: how often its form was met, and where."""

    name: str
    role: str
    sort: str
    holes: tuple[str, ...]
    syntax: dict[str, Template | str]
    marks: tuple[str, ...] = ()
    seen: int = 0
    programs: int = 0
    example: str = ""
    where: str = ""


class Retirement(Record):
    """A token that is to be offered no more."""

    name: str
    reason: str = ""


class Proposal(Record):
    """Additions and retirements for a vocabulary of `tokens` tokens."""

    tokens: int
    about: str = ABOUT
    add: tuple[Addition, ...] = ()
    retire: tuple[Retirement, ...] = ()


def read_proposal(path: Path) -> Proposal:
    """Raises NotFoundError when there is no such file, and LanguageError when it is no proposal."""
    if not path.is_file():
        raise NotFoundError("proposal", str(path), "write one: altlas vocab propose --from FOLDER -o FILE")
    with boundary(LanguageError, f"reading the proposal {path}"):
        return msgspec.json.decode(path.read_bytes(), type=Proposal, strict=True)


def proposal_text(proposal: Proposal) -> bytes:
    """The proposal as it is written to a file."""
    return msgspec.json.format(msgspec.json.encode(proposal), indent=2) + b"\n"
