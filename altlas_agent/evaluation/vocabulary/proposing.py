"""From what the vocabulary cannot say, and what nobody says with it, to a proposal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from altlas_agent.evaluation.vocabulary.checking import fault_of_retiring
from altlas_agent.evaluation.vocabulary.proposals import UNKNOWN, Addition, Proposal, Retirement
from altlas_agent.languages.encode.rules import STATEMENT
from altlas_agent.languages.tokens.grammar import TYPES
from altlas_agent.languages.tokens.maps import Template, language_map, languages
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from altlas_agent.evaluation.vocabulary.pieces import Survey, UnknownLine

MAX_SHAPE = 80
_HOLE = re.compile(r"\{(\d+)\}")
_WORD = re.compile(r"[A-Za-z]\w*")
_SIGNS = {
    "**": "POWER", "<<": "SHIFT_LEFT", ">>": "SHIFT_RIGHT", "&": "BIT_AND", "|": "BIT_OR", "^": "BIT_XOR",
    "~": "BIT_NOT", "/": "DIVIDE", "%": "REMAINDER", "[": "PART", ",": "TUPLE", "{": "MAPPING",
}  # fmt: skip
_ROLES = {"list": "list_operation", "words": "list_operation", "str": "string_operation"}


def proposal(survey: Survey, written: Mapping[str, int], *, least: int, most: int, attempts: int) -> Proposal:
    """The `most` most frequent forms that were met `least` times or more, and tokens that are of no use.

    `written` says how often policies wrote each token in so many `attempts`; without attempts nothing is
    retired. A token is of no use when neither they nor what was surveyed has it.
    """
    frequent = [piece for piece in survey.pieces if piece.count >= least and _is_token_like(piece)]
    return Proposal(
        tokens=len(vocabulary()),
        add=tuple(_additions(_by_shape(frequent), most)),
        retire=tuple(_retirements(survey, written, attempts)) if attempts else (),
    )


def _is_token_like(piece: UnknownLine) -> bool:
    """Whether a form could be a token: short, with few holes, not a definition or a line of its own."""
    is_short = len(piece.shape) <= MAX_SHAPE and len(piece.holes) <= 9
    says_something = _HOLE.sub("", piece.shape).strip(" (),") != ""
    is_lead = piece.shape.startswith(
        ("import ", "from ", "def ", "class ", "except ", "the end of", "a name")
    )
    is_private = "._" in piece.shape or "self." in piece.shape
    return is_short and says_something and not is_lead and not is_private


def _by_shape(pieces: Iterable[UnknownLine]) -> dict[str, list[UnknownLine]]:
    """Forms that are written alike in several languages are one."""
    found: dict[str, list[UnknownLine]] = {}
    for piece in pieces:
        found.setdefault(piece.shape, []).append(piece)
    return found


def _additions(by_shape: Mapping[str, list[UnknownLine]], most: int) -> Iterator[Addition]:
    ordered = sorted(by_shape.items(), key=lambda item: -sum(piece.count for piece in item[1]))
    taken = set(vocabulary().number)
    for shape, pieces in ordered[:most]:
        name = _name(shape, taken)
        taken.add(name)
        first = pieces[0]
        sort = first.sort if first.sort in (*TYPES, STATEMENT) else UNKNOWN
        holes = tuple(hole if hole in (*TYPES, "block") else UNKNOWN for hole in first.holes)
        yield Addition(
            name=name,
            role=_role(shape, sort),
            sort=sort,
            holes=holes,
            syntax={
                language: _template(shape, holes, sort, pieces, language=language) for language in languages()
            },
            seen=sum(piece.count for piece in pieces),
            programs=sum(piece.programs for piece in pieces),
            example=first.example,
            where=first.where,
        )


def _role(shape: str, sort: str) -> str:
    if shape.isdecimal():
        return "literal"
    return "control_flow" if sort == STATEMENT else _ROLES.get(sort, "operator")


def _name(shape: str, taken: set[str]) -> str:
    """A name made of the words of a form, or of its sign."""
    if shape.isdecimal():
        return f"INT_{shape}"
    bare = _HOLE.sub(" ", shape)
    words = [word.upper() for word in _WORD.findall(bare)]
    sign = next((name for sign, name in _SIGNS.items() if sign in bare), "FORM")
    name = "_".join(words[:3]) or sign
    suffix = 2
    while name in taken or name.startswith(("NUM_", "STR_", "ARG_", "VAR_", "FUNC_")):
        name, suffix = f"{name.rstrip('0123456789_')}_{suffix}" if name in taken else f"DO_{name}", suffix + 1
    return name


def _template(
    shape: str, holes: tuple[str, ...], sort: str, pieces: list[UnknownLine], *, language: str
) -> Template | str:
    """The form as a template that is always right: brackets around whatever is not the tightest."""
    if language not in {piece.language for piece in pieces} and not shape.isdecimal():
        return UNKNOWN
    if sort == STATEMENT or not (_HOLE.match(shape) or shape.endswith("}")):
        return shape
    tight = language_map(language).postfix_level
    needs = tuple(0 if _is_enclosed(shape, k) else tight for k in range(len(holes)))
    is_postfix = not shape.endswith("}") and needs.count(tight) == 1
    return Template(text=shape, level=tight + 1 if is_postfix else 1, needs=needs)


def _is_enclosed(shape: str, hole: int) -> bool:
    """Whether a hole stands within brackets of the form itself."""
    before = shape.partition(f"{{{hole}}}")[0]
    return sum(before.count(sign) for sign in "([") > sum(before.count(sign) for sign in ")]")


def _retirements(survey: Survey, written: Mapping[str, int], attempts: int) -> Iterator[Retirement]:
    for token in vocabulary().tokens:
        is_idle = not written.get(token.name) and not survey.used.get(token.name)
        if is_idle and not token.retired and fault_of_retiring(token.name) is None:
            read = f", nor in {survey.programs} programs that were read" if survey.programs else ""
            yield Retirement(name=token.name, reason=f"not once in {attempts} attempts{read}")
