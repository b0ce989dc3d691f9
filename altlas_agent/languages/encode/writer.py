"""Writes pieces as tokens: top down, by the sort of the hole that is to be filled.

For each hole every rule that fits the piece is tried, and the draft that leaves least unsaid is taken, the
shortest among equals. What no rule fits is a gap; the search goes on beside it. Drafts are remembered by
piece, sort and scope, so that trying several rules costs no more than the program is long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Kind
from altlas_agent.languages.encode.drafts import Draft, cheapest, gap
from altlas_agent.languages.encode.matching import Bound, fitted
from altlas_agent.languages.encode.pieces import changed_names, free_names, given_names, is_shared
from altlas_agent.languages.encode.rules import STATEMENT, Rule, Say, openings, rules
from altlas_agent.languages.encode.scope import UNTYPED, Scope
from altlas_agent.languages.tokens.grammar import MAX_LITERALS, MAX_VARIABLES, PRINTABLE, TYPES
from altlas_agent.languages.tokens.maps import language_map
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from altlas_agent.core.records import Task
    from altlas_agent.languages.encode.pieces import Piece

_SORTS = {"any": TYPES, "printable": PRINTABLE}


class Writer:
    """Writes the pieces of one program for one task.

    `chosen` settles the type of values that could be of several, by the identity of their pieces; those that
    it does not know are collected in `open_types`.
    """

    def __init__(self, task: Task, root: Piece, chosen: Mapping[int, str]) -> None:
        syntax = language_map(task.target_language)
        self.open_types: dict[int, tuple[str, ...]] = {}
        self._root = root
        self._chosen = chosen
        self._returns = task.signature.returns if task.signature else ""
        self._is_function = task.kind is Kind.FUNCTION
        self._rules = rules(task.target_language)
        self.given = given_names(root)
        self._literals = _literals(task)
        # Where a change is written like the giving of a name, a name in scope is changed.
        self._gives_anew = syntax.template("ASSIGN").text != syntax.template("UPDATE").text
        self._drafts: dict[tuple[int, str, Scope], Draft] = {}
        self._alive: list[Piece] = []  # a piece that is gone would lend its identity to another

    def statements(self, pieces: tuple[Piece, ...], scope: Scope) -> Draft:
        """Statements one after the other; what stands behind a RETURN is left out, it is never reached."""
        written = Draft((), (), 0, "", scope)
        for piece in pieces:
            if self._is_idle(piece, written.scope):
                continue
            written = _joined(written, self.statement(piece, written.scope))
            if piece.kind == "return":
                break
        return written

    def _is_idle(self, piece: Piece, scope: Scope) -> bool:
        """Whether it is a choice between nothing and nothing; what it asks must have no effect either."""
        if piece.kind != "if" or any(block.children for block in piece.children[1:]):
            return False
        return self.expression(piece.children[0], "bool", scope).cost == 0

    def statement(self, piece: Piece, scope: Scope) -> Draft:
        """One statement; `scope` of the draft holds behind it."""
        return self._remembered(piece, STATEMENT, scope)

    def expression(self, piece: Piece, sort: str, scope: Scope) -> Draft:
        """An expression of a type, of `any` type or of one that can be printed; the draft says which."""
        return self._remembered(piece, sort, scope)

    def type_of(self, piece: Piece, scope: Scope) -> str:
        """The type of an expression, `block` or `name`; UNTYPED for what cannot be said."""
        if piece.kind in ("block", "name") and (piece.kind == "block" or scope.slot(piece.text) is None):
            return piece.kind
        draft = self.expression(piece, "any", scope)
        return UNTYPED if draft.cost else draft.type

    def _remembered(self, piece: Piece, sort: str, scope: Scope) -> Draft:
        key = (id(piece), sort, scope)
        found = self._drafts.get(key)
        if found is None:
            if sort in _SORTS:
                found = self._of_any(piece, sort, scope)
            else:
                found = cheapest(self._tries(piece, sort, scope))
                found = found or gap(piece, sort, scope, "" if sort == STATEMENT else sort)
            self._drafts[key] = found
            self._alive.append(piece)
        return found

    def _of_any(self, piece: Piece, sort: str, scope: Scope) -> Draft:
        drafts = {kind: self.expression(piece, kind, scope) for kind in _SORTS[sort]}
        best = min(drafts.values(), key=lambda draft: draft.price)
        fitting = tuple(kind for kind, draft in drafts.items() if draft.price == best.price)
        slot = scope.slot(piece.text) if piece.kind == "name" else None
        if (best.cost and len(fitting) == len(drafts)) or (slot is not None and slot.type == UNTYPED):
            return best._replace(type=UNTYPED)
        if len(fitting) > 1:
            self.open_types[id(piece)] = fitting
        return drafts.get(self._chosen.get(id(piece), ""), best)

    def _tries(self, piece: Piece, sort: str, scope: Scope) -> Iterator[Draft | None]:
        slot = self._slot(piece, sort, scope)
        if slot is not None:
            yield Draft((vocabulary().number[slot],), (), 0, sort, scope)
        for rule in self._rules.get((sort, piece.kind), ()):
            bound = fitted(rule, piece, self.given)
            if bound is not None and self._may(rule, piece, bound):
                yield self._said(rule.says, sort, bound, scope)
        if sort == "num" and piece.kind == "num" and piece.text.startswith("-"):
            yield self._negative(piece, scope)

    def _slot(self, piece: Piece, sort: str, scope: Scope) -> str | None:
        if piece.kind == "name":
            slot = scope.slot(piece.text)
            has_token = slot is not None and slot.token in vocabulary().number  # a fifth argument has none
            return slot.token if slot is not None and has_token and slot.fits(sort) else None
        return self._literals.get((piece.kind, piece.text)) if piece.kind == sort else None

    def _negative(self, piece: Piece, scope: Scope) -> Draft | None:
        """A negative number that has no slot, as what is taken from nothing."""
        inner = self.expression(piece._replace(text=piece.text[1:]), "num", scope)
        lead = tuple(vocabulary().number[name] for name in ("SUB", "INT_0"))
        return None if inner.cost else inner._replace(tokens=(*lead, *inner.tokens))

    def _may(self, rule: Rule, piece: Piece, bound: Bound) -> bool:
        """Whether what the rule asks of its holes is so."""
        if rule.says.token == ("OUTPUT" if self._is_function else "RETURN"):
            return False
        if any(free_names(bound[hole]) & changed_names(piece) for hole in rule.steady):
            return False
        return not any(is_shared(self._root, bound[hole].text, piece) for hole in rule.owned)

    def _said(self, says: Say, sort: str, bound: Bound, scope: Scope) -> Draft | None:
        """What a rule says, with its holes filled; None when a name stands where it cannot."""
        if not says.token:
            return self._filled(sort, bound[says.hole], scope)
        made, holes = openings()[says.token]
        if made != sort and made not in _SORTS.get(sort, ()):
            return None
        opening = _Opening(self, says.token, made, scope)
        children = iter(says.children)
        for hole in holes:
            if hole[0] == "!":
                opening.act(hole)
            elif not opening.fill(hole, next(children), bound):
                return None
        return opening.draft

    def _filled(self, sort: str, piece: Piece, scope: Scope) -> Draft:
        if sort == "block":
            return self._block(piece, scope)
        wanted = self._returns if sort == "returns" else sort
        return self.expression(piece, "any" if wanted == UNTYPED else wanted, scope)

    def _block(self, piece: Piece, scope: Scope) -> Draft:
        key = (id(piece), "block", scope)
        found = self._drafts.get(key)
        if found is None:
            number = vocabulary().number
            inside = self.statements(piece.children, scope)
            if not inside.tokens:
                inside = gap(piece, "block", scope, "")
            tokens = (number["BLOCK_START"], *inside.tokens, number["BLOCK_END"])
            found = self._drafts[key] = inside._replace(tokens=tokens, scope=scope)
        return found

    def may_give(self, name: str, sort: str, scope: Scope) -> bool:
        """Whether a name that is given here is a new one, and has a slot."""
        is_new = self._gives_anew or sort != STATEMENT or scope.slot(name) is None
        return is_new and len(scope.variables) < MAX_VARIABLES

    def said(self, says: Say, sort: str, bound: Bound, scope: Scope) -> Draft | None:
        """What fills one hole of a rule."""
        return self._said(says, sort, bound, scope)


class _Opening:
    """One token, and its holes as they are filled: what the actions between them do to the scope."""

    def __init__(self, writer: Writer, token: str, sort: str, scope: Scope) -> None:
        self.draft = Draft((vocabulary().number[token],), (), 0, sort, scope)
        self._writer = writer
        self._sort = sort
        self._name = ""
        self._last_type = ""
        self._marks: list[int] = []

    def fill(self, hole: str, says: Say, bound: Bound) -> bool:
        """Fill one hole; False when what the rule has for it does not fit there."""
        if hole in ("new_var", "old_var"):
            piece = bound.get(says.hole)
            return piece is not None and piece.kind == "name" and self._named(hole, piece.text)
        sort = hole
        if hole == "same":
            sort = "any" if self._last_type == UNTYPED else self._last_type
        scope = self.draft.scope
        part = self._writer.said(says, sort, bound, scope)
        if part is None:
            return False
        if hole == "any":
            self._last_type = part.type
        kind = self.draft.type
        self.draft = _joined(self.draft, part)._replace(scope=scope, type=kind)
        return True

    def _named(self, hole: str, name: str) -> bool:
        scope = self.draft.scope
        if hole == "new_var":
            if not self._writer.may_give(name, self._sort, scope):
                return False
            token, self._name = f"VAR_{len(scope.variables)}", name
        else:
            slot = scope.slot(name)
            if slot is None or not slot.is_open:
                return False
            token, self._last_type = slot.token, slot.type
        tokens = (*self.draft.tokens, vocabulary().number[token])
        self.draft = self.draft._replace(tokens=tokens)
        return True

    def act(self, action: str) -> None:
        scope = self.draft.scope
        if action == "!leave":
            scope = scope.without_from(self._marks.pop())
        elif action == "!declare":
            scope = scope.with_variable(self._name, self._last_type, is_open=True)
        else:
            self._marks.append(len(scope.variables))
            scope = scope.with_variable(self._name, action.removeprefix("!enter "), is_open=False)
        self.draft = self.draft._replace(scope=scope)


def _joined(first: Draft, then: Draft) -> Draft:
    return Draft(
        first.tokens + then.tokens, first.gaps + then.gaps, first.cost + then.cost, then.type, then.scope
    )


def _literals(task: Task) -> dict[tuple[str, str], str]:
    """Literals of the description and their slots; where one occurs twice, the first slot has it."""
    found: dict[tuple[str, str], str] = {}
    for place, number in enumerate(task.numbers[:MAX_LITERALS]):
        found.setdefault(("num", str(number)), f"NUM_{place}")
    for place, text in enumerate(task.strings[:MAX_LITERALS]):
        found.setdefault(("str", text), f"STR_{place}")
    return found
