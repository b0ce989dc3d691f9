"""What is wrong with a proposal: one sentence for each fault, with what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.evaluation.vocabulary.proposals import UNKNOWN
from altlas_agent.languages.encode.pieces import same
from altlas_agent.languages.encode.rules import READERS, STATEMENT, openings, pattern
from altlas_agent.languages.tokens.grammar import TYPES
from altlas_agent.languages.tokens.maps import Template, language_map, languages
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from altlas_agent.evaluation.vocabulary.proposals import Addition, Proposal
    from altlas_agent.languages.encode.pieces import Piece

SORTS = (*TYPES, STATEMENT)
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_SLOTS = ("NUM_", "STR_", "ARG_", "VAR_", "FUNC_")
_FIXED_ROLES = frozenset({"block", "function", "identifier", "output", "assignment"})
_HOLES = {
    STATEMENT: (*TYPES, "any", "printable", "block", "new_var", "old_var", "same"),
    "": (*TYPES, "new_var"),
}
_ACTIONS = ("!declare", "!leave", *(f"!enter {name}" for name in TYPES))
_SLOT = re.compile(r"\{(\d+)\}")


def faults(proposal: Proposal, roles: Iterable[str]) -> list[str]:
    """All that is wrong with a proposal for the shipped vocabulary; empty when it can be applied."""
    have = len(vocabulary())
    if proposal.tokens != have:
        return [
            f"it was made for a vocabulary of {proposal.tokens} tokens, and this one has {have}: propose anew"
        ]
    if not proposal.add and not proposal.retire:
        return ["it neither adds nor retires a token"]
    return [*_faults_of_additions(proposal, frozenset(roles)), *_faults_of_retirements(proposal)]


def _faults_of_additions(proposal: Proposal, roles: frozenset[str]) -> Iterator[str]:
    names = [each.name for each in proposal.add]
    for place, each in enumerate(proposal.add):
        where = f"add[{place}] {each.name}"
        if names.count(each.name) > 1:
            yield f"{where}: the name is proposed {names.count(each.name)} times"
        for other in proposal.add[:place]:
            if (other.sort, other.syntax) == (each.sort, each.syntax):
                yield f"{where}: it is written like {other.name}: nothing could tell them apart"
        yield from (f"{where}: {fault}" for fault in _faults_of_addition(each, roles))


def _faults_of_addition(each: Addition, roles: frozenset[str]) -> Iterator[str]:
    if not _NAME.fullmatch(each.name):
        yield "a name is of capital letters, digits and _, at most 40"
    if each.name.startswith(_SLOTS):
        yield f"names that begin with {', '.join(_SLOTS)} are slots"
    if each.name in vocabulary().number:
        yield f"the vocabulary has it already, with the number {vocabulary().number[each.name]}"
    if each.role not in roles:
        yield f"there is no role {each.role!r}; there are: {', '.join(sorted(roles))}"
    if each.sort not in SORTS:
        yield f"sort is {each.sort!r}; say which of {', '.join(SORTS)} it produces"
    wrong = list(_faults_of_holes(each))
    yield from wrong
    yield from _faults_of_syntax(each, is_sound=not wrong and each.sort in SORTS)


def _faults_of_holes(each: Addition) -> Iterator[str]:
    allowed = _HOLES.get(each.sort, _HOLES[""])
    actions = [hole for hole in each.holes if hole[:1] == "!"]
    for place, hole in enumerate(each.holes):
        if hole == UNKNOWN:
            yield f"holes[{place}] is not known: say which of {', '.join(allowed)} it asks for"
        elif hole not in allowed and hole not in _ACTIONS:
            yield f"holes[{place}] is {hole!r}; a {each.sort} may ask for {', '.join(allowed)}"
    entered = sum(action.startswith("!enter") for action in actions)
    if entered != actions.count("!leave"):
        yield "every scope that is entered ('!enter TYPE') must be left ('!leave')"
    if each.holes.count("new_var") != entered + actions.count("!declare"):
        yield "every new_var must be declared: by '!declare', or by '!enter TYPE' for as long as it holds"


def _faults_of_syntax(each: Addition, *, is_sound: bool) -> Iterator[str]:
    for language in languages():
        syntax = each.syntax.get(language, UNKNOWN)
        if syntax == UNKNOWN:
            yield f"{language} has no syntax: add syntax.{language}, as in configs/languages/{language}.json"
        elif is_sound:
            template = syntax if isinstance(syntax, Template) else Template(text=syntax)
            yield from (
                f"syntax.{language}: {fault}" for fault in _faults_of_template(each, template, language)
            )
    for language in each.syntax:
        if language not in languages():
            yield f"syntax.{language}: there is no such language; there are: {', '.join(languages())}"


def _faults_of_template(each: Addition, template: Template, language: str) -> Iterator[str]:
    kinds = [hole for hole in each.holes if hole[0] != "!"]
    written = {int(number) for number in _SLOT.findall(template.text)}
    if written != set(range(len(kinds))):
        asked = ", ".join(f"{{{k}}}" for k in range(len(kinds))) or "no holes"
        yield f"{template.text!r} must have {asked}, as `holes` says"
        return
    if each.sort != STATEMENT and _lacks_needs(template, len(kinds)):
        yield (
            f"{template.text!r} begins or ends with a hole: give it level and needs, so that brackets are put "
            "where they must"
        )
    if language not in READERS:
        return
    blocks = frozenset(k for k, kind in enumerate(kinds) if kind == "block")
    try:
        read = pattern(language, template.text, blocks, each.sort)
    except LanguageError as error:
        yield error.message
        return
    for name in _written_alike(read, each.sort, language):
        yield f"{template.text!r} is what {name} is written like: nothing could tell them apart"


def _lacks_needs(template: Template, holes: int) -> bool:
    is_open = template.text.startswith("{0") or _SLOT.match(template.text) or template.text.endswith("}")
    return bool(is_open) and holes > 0 and len(template.needs) < holes


def _written_alike(read: Piece, sort: str, language: str) -> Iterator[str]:
    """Tokens of the same sort with the same form."""
    syntax = language_map(language)
    for token, (made, opened) in openings().items():
        if made != sort or token not in syntax.tokens:
            continue
        kinds = [hole for hole in opened if hole[0] != "!"]
        blocks = frozenset(k for k, kind in enumerate(kinds) if kind == "block")
        if same(pattern(language, syntax.template(token).text, blocks, sort), read):
            yield token


def _faults_of_retirements(proposal: Proposal) -> Iterator[str]:
    names = [each.name for each in proposal.retire]
    for place, name in enumerate(names):
        fault = "it is proposed twice" if name in names[:place] else fault_of_retiring(name)
        if fault is not None:
            yield f"retire[{place}] {name}: {fault}"
    retired = {*names, *vocabulary().names(vocabulary().retired())}
    for sort in TYPES:
        leaves = {token for token, (made, holes) in openings().items() if made == sort and not holes}
        fixed = {token for token in leaves if not token.startswith(_SLOTS)}
        if fixed and fixed <= retired:
            kept = ", ".join(sorted(fixed))
            yield f"retire: no {sort} could be written without a variable any more; keep one of {kept}"


def fault_of_retiring(name: str) -> str | None:
    """Why a token cannot be retired; None when it can."""
    number = vocabulary().number.get(name)
    if number is None:
        return "the vocabulary has no such token"
    token = vocabulary().tokens[number]
    if token.retired:
        return "it is retired already"
    if token.role in _FIXED_ROLES or name.startswith(_SLOTS):
        return "every program is built of it; it cannot be retired"
    return None
