"""From abstract tokens to source text: the one rendering path of executor, scorer, store and screens."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.tokens.maps import ATOM_LEVEL, LanguageMap, language_map
from altlas_agent.languages.tokens.tree import BLOCK, Node, parse

if TYPE_CHECKING:
    from altlas_agent.core.records import Task

_T = TypeVar("_T")
_HOLE = re.compile(r"\{(\d|params)\}")


class _Piece(NamedTuple):
    """Source text and how tightly it binds."""

    text: str
    level: int = ATOM_LEVEL


def render(task: Task, tokens: tuple[int, ...]) -> str:
    """Source text of a complete token sequence in the task's language, ending in a newline.

    Literal slots take the numbers and strings of this task's description, and FUNC_0 and ARG_k the
    names of its signature. Raises LanguageError when the sequence is not complete.
    """
    return _Renderer(task, language_map(task.target_language)).block(parse(tokens)) + "\n"


class _Renderer:
    def __init__(self, task: Task, syntax: LanguageMap) -> None:
        self._task = task
        self._syntax = syntax
        self._params = [param.name for param in task.signature.params] if task.signature else []

    def block(self, node: Node) -> str:
        return "\n".join(self._piece(statement).text for statement in node.children)

    def _piece(self, node: Node) -> _Piece:
        if node.token == BLOCK:
            return _Piece(self._indented(node))
        if (name := self._name(node.token)) is not None:
            return _Piece(name)
        if (literal := self._literal(node.token)) is not None:
            return literal
        return self._filled(node)

    def _indented(self, node: Node) -> str:
        style = self._syntax.block
        body = "\n".join(style.indent + line for line in self.block(node).split("\n"))
        return f"{style.open}\n{body}" + (f"\n{style.close}" if style.close else "")

    def _name(self, token: str) -> str | None:
        if token == "FUNC_0":
            return self._task.signature.name if self._task.signature else "f0"
        if token.startswith("ARG_"):
            return self._slot(self._params, token)
        return f"v{token[4:]}" if token.startswith("VAR_") else None

    def _literal(self, token: str) -> _Piece | None:
        if token.startswith("NUM_"):
            value = self._slot(list(self._task.numbers), token)
            return _Piece(str(value), ATOM_LEVEL if value >= 0 else self._syntax.negative_level)
        if token.startswith("STR_"):
            return _Piece(json.dumps(self._slot(list(self._task.strings), token), ensure_ascii=False))
        return None

    def _slot(self, values: list[_T], token: str) -> _T:
        place = int(token.rpartition("_")[2])
        if place >= len(values):
            raise LanguageError(f"{token}: task {self._task.id} has only {len(values)} of these")
        return values[place]

    def _filled(self, node: Node) -> _Piece:
        template = self._syntax.template(node.token)
        pieces = [self._piece(child) for child in node.children]
        needs = (*template.needs, *(0 for _ in pieces[len(template.needs) :]))
        texts = [p.text if p.level >= need else f"({p.text})" for p, need in zip(pieces, needs, strict=True)]

        def fill(match: re.Match[str]) -> str:
            return ", ".join(self._params) if match[1] == "params" else texts[int(match[1])]

        return _Piece(_HOLE.sub(fill, template.text), template.level)
