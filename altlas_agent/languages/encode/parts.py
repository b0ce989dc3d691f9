"""Source text that belongs to no task, such as a folder of modules, function by function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Kind, Param, Signature, Task
from altlas_agent.languages.encode.encode import encode_piece
from altlas_agent.languages.encode.pieces import DEPTHS, walk
from altlas_agent.languages.encode.rules import READERS
from altlas_agent.languages.encode.scope import UNTYPED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.languages.encode.encode import Encoded
    from altlas_agent.languages.encode.pieces import Piece

_CLASSES = ("ClassDef", "class_declaration")
_CONSTANTS = (0, 1, 2, 10)
"""Numbers that the vocabulary has tokens for, whatever the description says."""


def encode_parts(language: str, code: str) -> Iterator[Encoded]:
    """Source text of no task, such as a module: each of its functions, and all statements beside them.

    Nothing is known of the types of parameters, so every use of them counts as right; the first literals
    that occur are taken for those of a description. Raises LanguageError as `encode`.
    """
    reader = READERS.get(language)
    root = reader(code, DEPTHS[1]) if reader is not None else None
    if root is None:
        raise LanguageError(f"the source does not parse as {language}")
    functions = tuple(_functions(root))
    for function in functions:
        block = function._replace(kind="block", text="", children=(function,))
        yield encode_piece(_own_task(language, function), code, block, root)
    rest = tuple(piece for piece in root.children if piece.kind not in ("function", *_CLASSES))
    if rest:
        block = root._replace(children=rest)
        yield encode_piece(_own_task(language, block), code, block, root)


def _functions(root: Piece) -> Iterator[Piece]:
    """The functions of a program, those of classes among them; not those in other functions."""
    for piece in root.children:
        if piece.kind == "function":
            yield piece
        elif piece.kind not in ("arrow", "name", "num", "str"):
            yield from _functions(piece)


def _own_task(language: str, piece: Piece) -> Task:
    """A task whose description has the literals of a piece, and whose parameters are its own."""
    literals = {
        kind: list(dict.fromkeys(p.text for p in walk(piece) if p.kind == kind)) for kind in ("num", "str")
    }
    whole = [int(text) for text in literals["num"] if text.removeprefix("-").isdecimal() and len(text) < 18]
    signature = None
    if piece.kind == "function":
        params = tuple(Param(name=each.text, type=UNTYPED) for each in piece.children[0].children)
        signature = Signature(name=piece.text, params=params, returns=UNTYPED)
    return Task(
        id="source",
        suite="",
        name="",
        description="",
        target_language=language,
        kind=Kind.STDOUT if signature is None else Kind.FUNCTION,
        cases=(),
        signature=signature,
        numbers=tuple(number for number in whole if number not in _CONSTANTS),
        strings=tuple(text for text in literals["str"] if text.strip()),
    )
