"""From abstract tokens to source text: the one rendering path of executor, scorer, store and screens."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.tokens.maps import ATOM_LEVEL, LanguageMap, language_map
from altlas_agent.languages.tokens.tree import BLOCK, Node, parse

if TYPE_CHECKING:
    from altlas_agent.core.records import Task

_T = TypeVar("_T")
_HOLE = re.compile(r"\{(\d)\}")


class Span(NamedTuple):
    """A stretch of source text: lines and columns in characters, from 1; the end lies behind the last."""

    start_line: int
    start_column: int
    end_line: int
    end_column: int


class Rendered(NamedTuple):
    """Source text, and for each token the stretch that it and what fills its holes produced.

    A token whose text is written more than once has its first place. BLOCK_START and BLOCK_END have that
    of the statements between them, END that of all statements.
    """

    code: str
    spans: tuple[Span, ...]


def render(task: Task, tokens: tuple[int, ...]) -> str:
    """Source text of a complete token sequence in the task's language, ending in a newline.

    Literal slots take the numbers and strings of this task's description, and FUNC_0 and ARG_k the
    names of its signature. Raises LanguageError when the sequence is not complete.
    """
    return render_with_spans(task, tokens).code


def render_with_spans(task: Task, tokens: tuple[int, ...]) -> Rendered:
    """The same, with where each token's text lies. Raises LanguageError as `render` does."""
    root = parse(tokens)
    renderer = _Renderer(task, language_map(task.target_language))
    end = renderer.statements(root)
    spans = renderer.spans | {root.last: end}
    return Rendered(f"{renderer.text()}\n", tuple(spans[place] for place in range(len(tokens))))


@lru_cache(maxsize=1024)
def _parts(template: str) -> tuple[str, ...]:
    """Text and names of holes, in turn."""
    return tuple(_HOLE.split(template))


class _Renderer:
    """Writes a program from its start to its end, and notes where the tokens come to lie."""

    def __init__(self, task: Task, syntax: LanguageMap) -> None:
        self.spans: dict[int, Span] = {}
        self._task = task
        self._syntax = syntax
        self._params = [param.name for param in task.signature.params] if task.signature else []
        self._written: list[str] = []
        self._line = self._column = 1
        self._indent = ""

    def text(self) -> str:
        return "".join(self._written)

    def statements(self, block: Node) -> Span:
        """Write the statements of a block; the span is that of all of them."""
        start = (self._line, self._column)
        for number, statement in enumerate(block.children):
            self._write("\n" if number else "")
            self._node(statement, 0)
        return Span(*start, self._line, self._column)

    def _write(self, text: str) -> None:
        breaks = text.count("\n")
        if breaks:
            text = text.replace("\n", f"\n{self._indent}")
            self._line += breaks
            self._column = len(text) - text.rindex("\n")
        else:
            self._column += len(text)
        self._written.append(text)

    def _node(self, node: Node, need: int) -> None:
        """Write a node, in brackets when it binds less tightly than its place needs."""
        if node.token == BLOCK:
            self._block(node)
            return
        parts, level, needs = self._syntax_of(node.token)
        bracketed = level < need
        self._write("(" if bracketed else "")
        start = (self._line, self._column)
        self._write(parts[0])
        for place in range(1, len(parts), 2):
            hole = int(parts[place])
            self._node(node.children[hole], needs[hole] if hole < len(needs) else 0)
            self._write(parts[place + 1])
        self.spans.setdefault(node.first, Span(*start, self._line, self._column))
        self._write(")" if bracketed else "")

    def _block(self, node: Node) -> None:
        style, outside = self._syntax.block, self._indent
        self._write(style.open)
        self._indent += style.indent
        self._write("\n")
        span = self.statements(node)
        self.spans |= {node.first: span, node.last: span}
        self._indent = outside
        self._write(f"\n{style.close}" if style.close else "")

    def _syntax_of(self, token: str) -> tuple[tuple[str, ...], int, tuple[int, ...]]:
        """Text and numbers of holes in turn, how tightly the text binds, and how tightly the holes must."""
        if (name := self._name(token)) is not None:
            return (name,), ATOM_LEVEL, ()
        if (literal := self._literal(token)) is not None:
            return (literal[0],), literal[1], ()
        template = self._syntax.template(token)
        text = template.text.replace("{params}", ", ".join(self._params))
        return _parts(text), template.level, template.needs

    def _name(self, token: str) -> str | None:
        if token == "FUNC_0":
            return self._task.signature.name if self._task.signature else "f0"
        if token.startswith("ARG_"):
            return self._slot(self._params, token)
        return f"v{token[4:]}" if token.startswith("VAR_") else None

    def _literal(self, token: str) -> tuple[str, int] | None:
        if token.startswith("NUM_"):
            value = self._slot(list(self._task.numbers), token)
            return str(value), ATOM_LEVEL if value >= 0 else self._syntax.negative_level
        if token.startswith("STR_"):
            text = json.dumps(self._slot(list(self._task.strings), token), ensure_ascii=False)
            return text, ATOM_LEVEL
        return None

    def _slot(self, values: list[_T], token: str) -> _T:
        place = int(token.rpartition("_")[2])
        if place >= len(values):
            raise LanguageError(f"{token}: task {self._task.id} has only {len(values)} of these")
        return values[place]
