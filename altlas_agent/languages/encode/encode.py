"""Source text to abstract tokens: `encode(task, code)`, the way back from `render`.

The reader of the language makes pieces of the text, in which names, layout and brackets do not count any
more; the writer says them in tokens; what it cannot say is UNK, with the text it stood for. `encode` gives
back what `render` was given, but for tokens that say the same at that place: literals of the description
that are equal to each other or to a constant, and the two empty lists where nothing tells their type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Kind, Record
from altlas_agent.languages.encode.drafts import UNK, Draft, gap
from altlas_agent.languages.encode.normal import Source, Unknown
from altlas_agent.languages.encode.pieces import DEPTHS, Piece, free_names, walk
from altlas_agent.languages.encode.rules import READERS, STATEMENT
from altlas_agent.languages.encode.scope import Scope, Variable
from altlas_agent.languages.encode.writer import Writer
from altlas_agent.languages.tokens.grammar import MAX_VARIABLES
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Signature, Task

MAX_TRIES = 16
"""How many values that could be of several types are tried as another."""


class Encoded(Record):
    """A program in tokens. `UNK` stands in `tokens` for each of `unknown`, in their order."""

    tokens: tuple[int, ...]
    unknown: tuple[Unknown, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the vocabulary says all of it; only then can it be rendered."""
        return not self.unknown


def encode(task: Task, code: str) -> Encoded:
    """A program for the task, in the task's language, as tokens.

    Literals are those of the task, names become slots; the limits and constraints of the task do not count.
    Raises LanguageError when `code` is not of this language, or the language cannot be read back.
    """
    reader = READERS.get(task.target_language)
    if reader is None:
        raise LanguageError(
            f"{task.target_language} cannot be read into tokens; there are: {', '.join(READERS)}"
        )
    for depth in DEPTHS:
        try:
            root = reader(code, depth)
            if root is None:
                break
            return encode_piece(task, code, root)
        except RecursionError:
            continue  # how much room the stack has is known only when it is full
    raise LanguageError(
        f"task {task.id}: the source does not parse as {task.target_language}, so it has no tokens; "
        "check it with the language itself first"
    )


def encode_piece(task: Task, code: str, root: Piece, around: Piece | None = None) -> Encoded:
    """The same of source text that was read before; `root` is a block, of the program `around` it if any."""
    draft, writer = _best(task, root, around or root)
    return Encoded(tokens=draft.tokens, unknown=Source(task, code, writer).unknown(draft))


def _best(task: Task, root: Piece, around: Piece) -> tuple[Draft, Writer]:
    """The draft that leaves least unsaid, over the types that values without one could have."""
    chosen: dict[int, str] = {}
    writer = Writer(task, around, chosen)
    best = _written(writer, task, root)
    open_types = list(writer.open_types.items())[:MAX_TRIES] if best.cost else []
    for value, kinds in open_types:
        for kind in kinds:
            tried = chosen | {value: kind}
            draft = _written(Writer(task, around, tried), task, root)
            if draft.price < best.price:
                best, chosen = draft, tried
    return best, writer


def _written(writer: Writer, task: Task, root: Piece) -> Draft:
    number = vocabulary().number
    if task.kind is Kind.STDOUT or task.signature is None:
        inside = writer.statements(root.children, Scope())
        return inside._replace(tokens=(*inside.tokens, number["END"]))
    function = _function(root, task.signature)
    drafts = [
        _body(writer, piece, task.signature) if piece is function else gap(piece, STATEMENT, Scope(), "")
        for piece in root.children
    ]
    tokens = tuple(token for draft in drafts for token in draft.tokens)
    gaps = tuple(each for draft in drafts for each in draft.gaps)
    return Draft((*tokens, number["END"]), gaps, sum(draft.cost for draft in drafts), "", Scope())


def _function(root: Piece, signature: Signature) -> Piece | None:
    """The function that the task asks for: that of its name, or the only one, with as many parameters."""
    functions = [piece for piece in root.children if piece.kind == "function"]
    named = [piece for piece in functions if piece.text == signature.name]
    meant = named[-1:] or (functions if len(functions) == 1 else [])
    fitting = [piece for piece in meant if len(piece.children[0].children) == len(signature.params)]
    return fitting[0] if fitting else None


def _body(writer: Writer, function: Piece, signature: Signature) -> Draft:
    number = vocabulary().number
    params, block = function.children
    scope = Scope(
        tuple(
            Variable(piece.text, param.type, is_open=False)
            for piece, param in zip(params.children, signature.params, strict=True)
        )
    )
    lead = [number[name] for name in ("FUNC_DEF", "FUNC_0", "BLOCK_START")]
    for name in _changed_arguments(block, scope):
        slot = scope.slot(name)
        if slot is not None and slot.token in number and len(scope.variables) < MAX_VARIABLES:
            lead += [number["ASSIGN"], number[f"VAR_{len(scope.variables)}"], number[slot.token]]
            scope = scope.with_variable(name, slot.type, is_open=True)
    statements = tuple(_straight(block.children))
    inside = writer.statements(statements, scope)
    if not statements or not any(piece.kind == "return" for piece in statements):
        end = gap(Piece("end", "", (), block.place), STATEMENT, scope, "")
        inside = inside._replace(
            tokens=inside.tokens + end.tokens, gaps=inside.gaps + end.gaps, cost=inside.cost + 1
        )
    return inside._replace(tokens=(*lead, *inside.tokens, number["BLOCK_END"]))


def _changed_arguments(block: Piece, scope: Scope) -> Iterator[str]:
    """Arguments that the program changes: they are copied to variables first, arguments cannot change."""
    changed: set[str] = set()
    for piece in walk(block):
        if piece.kind in ("assign", "AugAssign") and piece.children[0].kind == "name":
            changed.add(piece.children[0].text)
        elif piece.kind == "expression" and piece.children[0].children:
            # v.append(1): the first part of the call is what is called, and of that whose it is.
            called = piece.children[0].children[0]
            changed |= free_names(called.children[0]) if called.children else set()
    yield from (argument.name for argument in scope.arguments if argument.name in changed)


def _straight(statements: tuple[Piece, ...]) -> Iterator[Piece]:
    """A choice at the end whose first way always returns, as that way and what comes behind it."""
    yield from statements[:-1]
    for last in statements[-1:]:
        if last.kind == "if" and last.children[2].children and _returns(last.children[1]):
            test, then, otherwise = last.children
            nothing = otherwise._replace(children=())
            yield last._replace(children=(test, then, nothing))
            yield from _straight(otherwise.children)
        else:
            yield last


def _returns(block: Piece) -> bool:
    """Whether a block always returns."""
    last = block.children[-1] if block.children else None
    if last is None or last.kind != "if":
        return last is not None and last.kind == "return"
    return all(map(_returns, last.children[1:]))


__all__ = ["UNK", "Encoded", "Unknown", "encode"]
