"""What could not be said, in a form that can be counted: the same piece reads the same wherever it stands.

    text    the source with slots for names (VAR_0, ARG_1) and for literals of the task (NUM_0, STR_1)
    shape   the source of its outermost form only, with {0}, {1} ... for what stands in it: a template for
            the language maps, such as `{0} ** {1}`
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Record
from altlas_agent.languages.encode.drafts import UNK, Draft, Gap
from altlas_agent.languages.encode.pieces import Piece, Place, given_names, walk
from altlas_agent.languages.render import Span
from altlas_agent.languages.tokens.grammar import MAX_LITERALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Task

_WORDS = re.compile(r"\{\d+\}|\w+|\s+|\"[^\"\n]*\"|'[^'\n]*'|.", re.DOTALL)
_WORD = re.compile(r"\{\d+\}|\w+")
_LITERALS = ("num", "str", "constant", "true", "false", "template_string")
_FORMS = frozenset(
    {
        "block", "list", "none", "word", "expression", "attribute", "Attribute", "member_expression",
        "property_identifier", "keyword", "comprehension", "Slice", "pair", "formal_parameters", "declare",
    }
)  # fmt: skip
"""What belongs to the form that it stands in."""

END_OF_FUNCTION = "end"
MAX_TEXT = 200
MAX_INNER = 8


class Unknown(Record):
    """A piece that the vocabulary cannot say.

    `place` is that of its UNK among the tokens, `sort` what was wanted there: a type, `statement`, `block`.
    `inner` are pieces within it that cannot be said either, without an UNK of their own (their place is -1).
    """

    place: int
    span: Span
    text: str
    shape: str
    sort: str
    inner: tuple[Unknown, ...] = ()


class _Cut(NamedTuple):
    """What stands instead of a stretch of the source."""

    place: Place
    text: str


class Source:
    """The text of one program, from which pieces are cut."""

    def __init__(self, task: Task, code: str, root: Piece) -> None:
        self._lines = code.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
        self._given = given_names(root)
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
        parts = list(_parts(gap.piece))
        inner = [self._inner(part, gap) for part in parts if part.kind not in (*_LITERALS, "name")]
        return Unknown(
            place=place,
            span=self._span(gap.piece.place),
            text=self._text(gap),
            shape=self._shape(gap.piece, parts),
            sort=gap.sort,
            inner=tuple(inner[:MAX_INNER]),
        )

    def _inner(self, part: Piece, gap: Gap) -> Unknown:
        return self._unknown(Gap(part, part.kind, gap.scope), -1)

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

    def _shape(self, piece: Piece, parts: list[Piece]) -> str:
        if piece.kind == END_OF_FUNCTION:
            return "the end of the function, without a return"
        if piece.kind == "name":
            return "a name without a slot" if piece.text in self._given else piece.text
        kept = [part for part in parts if part.kind != "name" or part.text in self._given]
        cuts: list[_Cut] = []
        for part in kept:
            # What stands twice in the source of a piece, as in `a += b`, is cut once.
            if all(cut.place != part.place for cut in cuts):
                cuts.append(_Cut(part.place, f"{{{len(cuts)}}}"))
        return self._cut(piece, cuts) if piece.kind not in _LITERALS else self._cut(piece, [])

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
        return _tidy("".join([*written, self._between(at, end)]))[:MAX_TEXT]

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
    for child in piece.children:
        if child.kind in _FORMS:
            yield from _parts(child)
        elif child.kind != "deep":
            yield child


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
