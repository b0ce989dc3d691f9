"""What could not be said, in a form that can be counted: the same piece reads the same wherever it stands.

text    the source with slots for names (VAR_0, ARG_1) and for literals of the task (NUM_0, STR_1)
shape   the source of its outermost form only, with {0}, {1} ... for what stands in it: a template for
        the language maps, such as `{0} ** {1}`
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Record
from altlas_agent.languages.encode.drafts import UNK, Draft, Gap
from altlas_agent.languages.encode.matching import Bound, fitted
from altlas_agent.languages.encode.pieces import Piece, Place, walk
from altlas_agent.languages.encode.rules import STATEMENT, Rule, rules
from altlas_agent.languages.render import Span
from altlas_agent.languages.tokens.grammar import MAX_LITERALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Task
    from altlas_agent.languages.encode.writer import Writer

_WORDS = re.compile(r"\{\d+\}|\w+|\s+|\"[^\"\n]*\"|'[^'\n]*'|.", re.DOTALL)
_WORD = re.compile(r"\{\d+\}|\w+")
_BRACKETS = re.compile(r"(?<![\w\])}])(\w*)\((\{\d\})\)")
_BEFORE_EXPRESSIONS = frozenset({"while", "if", "elif", "return", "and", "or", "not", "in", "else"})
_LITERALS = ("num", "str", "constant", "true", "false", "template_string")
_FORMS = frozenset(
    {
        "list", "none", "alias", "GeneratorExp", "arguments", "word", "Attribute", "member_expression",
        "property_identifier", "keyword", "comprehension", "Slice", "pair", "formal_parameters", "declare",
    }
)  # fmt: skip
"""What belongs to the form that it stands in."""
_CHANGING = ("assign", "declare", "AugAssign", "for")
"""Where something else than a name may be given a value; that belongs to the form as well."""

_NOWHERE = Place(0, 0, 0, 0)

END_OF_FUNCTION = "end"
MAX_TEXT = 200
MAX_INNER = 8


class Reason(enum.StrEnum):
    """Why a piece cannot be said."""

    FORM = "form"
    """No token and no idiom is written like this: the vocabulary lacks it."""
    NAME = "name"
    """A name without a slot: of a fifth variable, or one whose giving could not be said."""
    LITERAL = "literal"
    """A literal that is neither of the description nor a constant of the vocabulary."""
    USE = "use"
    """There is a token for it, but not with what stands in it, or not in this place."""


class Unknown(Record):
    """A piece that the vocabulary cannot say.

    `place` is that of its UNK among the tokens, `sort` what was wanted there: a type, any, statement, block.
    `inner` are pieces within it whose form is unknown as well, without an UNK of their own (place -1).
    """

    place: int
    span: Span
    text: str
    shape: str
    sort: str
    reason: Reason
    holes: tuple[str, ...] = ()
    """What stands in the holes of `shape`: a type, `block`, `name`, or `?` where none is known."""
    inner: tuple[Unknown, ...] = ()


class _Cut(NamedTuple):
    """What stands instead of a stretch of the source."""

    place: Place
    text: str


class Source:
    """The text of one program, from which pieces are cut."""

    def __init__(self, task: Task, code: str, writer: Writer) -> None:
        self._type_of = writer.type_of
        self._lines = code.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
        self._given = writer.given
        self._rules: dict[str, list[Rule]] = {}
        for (_, kind), made in rules(task.target_language).items():
            self._rules.setdefault(kind, []).extend(made)
        self._is_python = task.target_language == "python"  # elsewhere brackets belong to statements
        self._function = task.signature.name if task.signature else ""
        numbers = {("num", str(n)): f"NUM_{k}" for k, n in enumerate(task.numbers[:MAX_LITERALS])}
        self._literals = numbers | {
            ("str", text): f"STR_{k}" for k, text in enumerate(task.strings[:MAX_LITERALS])
        }

    def unknown(self, draft: Draft) -> tuple[Unknown, ...]:
        """Each gap of the draft, with the place of its UNK."""
        places = [place for place, token in enumerate(draft.tokens) if token == UNK]
        return tuple(self._unknown(gap, place) for place, gap in zip(places, draft.gaps, strict=True))

    def _unknown(self, gap: Gap, place: int) -> Unknown:
        if gap.piece.kind == "expression":
            gap = gap._replace(piece=gap.piece.children[0])
        inner = [self._unknown(each, -1) for each in self._strange(gap)]
        shape, parts = self._shape(gap.piece)
        return Unknown(
            place=place,
            span=self._span(gap.piece.place),
            text=self._text(gap),
            shape=shape,
            sort=gap.sort,
            reason=self._reason(gap),
            holes=tuple(self._type_of(part, gap.scope) for part in parts),
            inner=tuple(inner[:MAX_INNER]),
        )

    def _strange(self, gap: Gap) -> Iterator[Gap]:
        """What stands in a piece and has a form of its own that the vocabulary lacks, outermost first."""
        for part in self._within(gap.piece):
            sort = STATEMENT if gap.piece.kind == "block" else "any"
            inner = gap._replace(piece=part, sort=sort)
            if part.kind not in ("block", "expression") and self._reason(inner) is Reason.FORM:
                yield inner
            else:
                yield from self._strange(inner)

    def _within(self, piece: Piece) -> Iterator[Piece]:
        """What stands in the holes of a form that is known, or else in the form that it has."""
        known = self._known(piece)
        return iter(known.values()) if known is not None else _parts(piece)

    def _known(self, piece: Piece) -> Bound | None:
        found = (fitted(each, piece, self._given) for each in self._rules.get(piece.kind, ()))
        return next((bound for bound in found if bound is not None), None)

    def _reason(self, gap: Gap) -> Reason:
        piece = gap.piece
        if piece.kind == "name":
            return Reason.NAME if gap.scope.slot(piece.text) is None else Reason.USE
        if (
            (piece.kind, piece.text) in self._literals
            or piece.kind == "block"
            or self._known(piece) is not None
        ):
            return Reason.USE
        return Reason.LITERAL if piece.kind in _LITERALS else Reason.FORM

    def _span(self, place: Place) -> Span:
        return Span(
            place.line + 1,
            self._column(place.line, place.column),
            place.end_line + 1,
            self._column(place.end_line, place.end_column),
        )

    def _column(self, line: int, column: int) -> int:
        """Bytes before a column as characters, from 1."""
        before = self._lines[line][:column] if line < len(self._lines) else b""
        return len(before.decode("utf-8", "replace")) + 1

    def _text(self, gap: Gap) -> str:
        cuts = [
            _Cut(leaf.place, name) for leaf in walk(gap.piece) if (name := self._slot(leaf, gap)) is not None
        ]
        return self._cut(gap.piece, cuts)

    def _slot(self, leaf: Piece, gap: Gap) -> str | None:
        if leaf.kind != "name":
            return self._literals.get((leaf.kind, leaf.text))
        slot = gap.scope.slot(leaf.text)
        if slot is not None:
            return slot.token
        if leaf.text == self._function:
            return "FUNC_0"
        return "VAR" if leaf.text in self._given else None

    def _shape(self, piece: Piece) -> tuple[str, list[Piece]]:
        """The form of a piece, and what stands in its holes."""
        if piece.kind == END_OF_FUNCTION:
            return "the end of the function, without a return", []
        if piece.kind == "name":
            return "a name without a slot" if piece.text in self._given else piece.text, []
        if piece.kind in _LITERALS:
            return self._cut(piece, []), []
        kept: list[Piece] = []
        for part in _parts(piece):
            # What stands twice in the source of a piece, as in `a += b`, is cut once.
            is_new = all(other.place != part.place for other in kept)
            if is_new and (part.kind != "name" or part.text in self._given):
                kept.append(part)
        return self._cut(piece, [_Cut(part.place, f"{{{k}}}") for k, part in enumerate(kept)]), kept

    def _cut(self, piece: Piece, cuts: list[_Cut]) -> str:
        """The source of a piece with stretches replaced, on one line and with just the blanks it needs."""
        written: list[str] = []
        at = (piece.place.line, piece.place.column)
        end = (piece.place.end_line, piece.place.end_column)
        for cut in sorted(cuts, key=lambda cut: cut.place):
            start = (cut.place.line, cut.place.column)
            if at <= start and self._is_own(cut, piece) and (cut.place.end_line, cut.place.end_column) <= end:
                written += [self._between(at, start), cut.text]
                at = (cut.place.end_line, cut.place.end_column)
        text = _tidy("".join([*written, self._between(at, end)]))
        return (_BRACKETS.sub(_bare, text) if self._is_python else text).rstrip(";")[:MAX_TEXT]

    def _is_own(self, cut: _Cut, piece: Piece) -> bool:
        """Parts of an f-string have the place of the whole in some versions of Python: these cut nothing."""
        return cut.place != piece.place or not piece.children

    def _between(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        lines = self._lines[start[0] : end[0] + 1]
        if not lines:
            return ""
        lines[-1] = lines[-1][: end[1]]
        lines[0] = lines[0][start[1] :]
        return b"\n".join(lines).decode("utf-8", "replace")


def _parts(piece: Piece) -> Iterator[Piece]:
    """The pieces that stand in the form of a piece: names, literals, and whatever has a form of its own."""
    for place, child in enumerate(piece.children):
        is_target = place == 0 and piece.kind in _CHANGING and child.kind != "name"
        if is_target or child.kind in _FORMS or child.place == _NOWHERE:
            yield from _parts(child)
        elif child.kind != "deep" and (child.kind != "block" or child.children):
            yield child


def _bare(found: re.Match[str]) -> str:
    """Without brackets around a hole alone; those behind a word are of a call, unless it is a keyword."""
    word, hole = found.groups()
    if not word:
        return hole
    return f"{word} {hole}" if word in _BEFORE_EXPRESSIONS else found[0]


def _tidy(text: str) -> str:
    words: list[str] = []
    for word in _WORDS.findall(text):
        is_blank = word.isspace()
        if not is_blank:
            words.append(word)
        elif words and words[-1] != " ":
            words.append(" ")
    kept = [
        word
        for place, word in enumerate(words)
        if word != " " or (0 < place < len(words) - 1 and _needs_blank(words[place - 1], words[place + 1]))
    ]
    return "".join(kept)


def _needs_blank(before: str, after: str) -> bool:
    return _WORD.fullmatch(before) is not None and _WORD.fullmatch(after) is not None
