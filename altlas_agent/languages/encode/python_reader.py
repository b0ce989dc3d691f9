"""Python source text to pieces, through ast."""

from __future__ import annotations

import ast
from functools import reduce
from typing import TYPE_CHECKING, cast

from altlas_agent.languages.encode.pieces import Piece, Place
from altlas_agent.languages.python import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKING = frozenset({"sum", "max", "min", "sorted", "list", "any", "all"})
"""Built-in functions that only look through what they are given: a generator is a list for them."""
_SIGNS = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_NOWHERE = Place(0, 0, 0, 0)


def read(code: str, depth: int) -> Piece | None:
    """The program as a block, down to `depth`; None when `code` is not Python."""
    tree = parse(code)
    return None if tree is None else _block(tree.body, depth)


def _block(body: list[ast.stmt], depth: int) -> Piece:
    pieces = tuple(
        _piece(part, depth - 1) for statement in body for part in _parts(statement) if not _is_idle(part)
    )
    first, last = (pieces[0].place, pieces[-1].place) if pieces else (_NOWHERE, _NOWHERE)
    return Piece("block", "", pieces, Place(*first[:2], *last[2:]))


def _is_idle(statement: ast.stmt) -> bool:
    """Docstrings, `pass` and the like."""
    idle = isinstance(statement, ast.Pass | ast.Global | ast.Nonlocal)
    return idle or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def _parts(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A statement as several simple ones, where these do the same one after the other."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if _independent(
            targets, values
        ):
            for target, value in zip(targets, values, strict=True):
                yield ast.copy_location(ast.Assign(targets=[target], value=value), statement)
        case ast.Assign(targets=[_, _, *_] as targets, value=ast.Constant() as value):
            for target in reversed(targets):
                yield ast.copy_location(ast.Assign(targets=[target], value=value), statement)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            yield ast.copy_location(ast.Assign(targets=[target], value=value), statement)
        case _:
            yield statement


def _independent(targets: list[ast.expr], values: list[ast.expr]) -> bool:
    """Whether no value uses a name that is given before it."""
    if len(targets) != len(values) or not all(isinstance(target, ast.Name) for target in targets):
        return False
    given: set[str] = set()
    for target, value in zip(targets, values, strict=True):
        if given & {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}:
            return False
        given |= {target.id} if isinstance(target, ast.Name) else set()
    return True


def _piece(node: ast.AST, depth: int) -> Piece:
    place = _place(node)
    if depth < 0:
        return Piece("deep", "", (), place)
    match _plain(node):
        case ast.Name(id=name) | ast.arg(arg=name):
            return Piece("name", name, (), place)
        case ast.Constant(value=value):
            return _constant(value, place)
        case ast.Expr(value=value):
            return Piece("expression", "", (_piece(value, depth - 1),), place)
        case ast.Assign(targets=[target], value=value):
            return Piece("assign", "", (_piece(target, depth - 1), _piece(value, depth - 1)), place)
        case (ast.FunctionDef() | ast.Lambda()) as function if _is_plain_function(function):
            return _function(function, depth, place)
        case plain:
            return _any(plain, depth, place)


def _any(node: ast.AST, depth: int, place: Place) -> Piece:
    """A node by its fields: signs and words are its text, the rest its parts."""
    words: list[str] = []
    parts: list[Piece] = []
    for field, value in ast.iter_fields(node):
        if isinstance(value, _SIGNS):
            words.append(type(value).__name__)
        elif field in ("body", "orelse", "finalbody") and isinstance(value, list):
            parts.append(_block(cast("list[ast.stmt]", value), depth))
        elif isinstance(value, list):
            parts.append(_list(cast("list[object]", value), depth, place))
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            parts.append(_piece(value, depth - 1))
        elif isinstance(value, str | int) and field not in ("kind", "type_comment", "simple"):
            words.append(str(value))
        elif value is None and field not in ("kind", "type_comment", "returns", "annotation"):
            parts.append(Piece("none", "", (), place))
    kind = {"If": "if", "For": "for", "Return": "return"}.get(type(node).__name__, type(node).__name__)
    return Piece(kind, " ".join(words), tuple(parts), place)


def _list(values: list[object], depth: int, place: Place) -> Piece:
    parts = [
        _piece(value, depth - 1) if isinstance(value, ast.AST) else Piece("word", str(value), (), place)
        for value in values
    ]
    return Piece("list", "", tuple(parts), place)


def _place(node: ast.AST) -> Place:
    numbers = (getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
    line, column, end_line, end_column = (number or 0 for number in numbers)
    return Place(line - 1, column, end_line - 1, end_column) if line else _NOWHERE


def _constant(value: object, place: Place) -> Piece:
    if isinstance(value, str):
        return Piece("str", value, (), place)
    kind = "num" if isinstance(value, int | float) and not isinstance(value, bool) else "constant"
    try:
        return Piece(kind, repr(value), (), place)
    except ValueError:  # a number of more digits than Python writes
        return Piece("deep", "", (), place)


def _is_plain_function(node: ast.FunctionDef | ast.Lambda) -> bool:
    """Whether its parameters are only names."""
    given = node.args
    others = (given.posonlyargs, given.vararg, given.kwonlyargs, given.kwarg, given.defaults)
    return not any(others) and not (isinstance(node, ast.FunctionDef) and node.decorator_list)


def _function(node: ast.FunctionDef | ast.Lambda, depth: int, place: Place) -> Piece:
    params = _list(list(node.args.args), depth, place)
    if isinstance(node, ast.Lambda):
        return Piece("arrow", "", (params, _piece(node.body, depth - 1)), place)
    return Piece("function", node.name, (params, _block(node.body, depth)), place)


def _plain(node: ast.AST) -> ast.AST:
    """The same said with fewer forms: one comparison at a time, no f-strings, no generators."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not (
            isinstance(value, bool)
        ):
            made: ast.expr = ast.Constant(value=-value)
        case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[right]):
            inside = ast.copy_location(ast.Compare(left=left, ops=[ast.In()], comparators=[right]), node)
            made = ast.UnaryOp(op=ast.Not(), operand=inside)
        case ast.Compare(ops=[_, _, *_]):
            made = _links(node)
        case ast.BoolOp(op=sign, values=[*rest, last]) if len(rest) > 1:
            made = ast.BoolOp(
                op=sign, values=[ast.copy_location(ast.BoolOp(op=sign, values=rest), node), last]
            )
        case ast.JoinedStr(values=[_, *_] as values):
            texts = [_text(value) for value in values]
            if any(text is None for text in texts):
                return node
            made = reduce(_added, [text for text in texts if text is not None])
        case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() as each], keywords=keywords) if (
            name in _LOOKING
        ):
            listed = ast.copy_location(ast.ListComp(elt=each.elt, generators=each.generators), each)
            # The place of a generator holds brackets: the only ones there are, so they belong to the call.
            listed.col_offset, listed.end_col_offset = each.col_offset + 1, (each.end_col_offset or 0) - 1
            made = ast.Call(func=node.func, args=[listed], keywords=keywords)
        case _:
            return node
    return ast.copy_location(made, node)


def _links(node: ast.Compare) -> ast.expr:
    """a < b < c as a < b and b < c: what is compared has no effects that the vocabulary could say."""
    sides = [node.left, *node.comparators]
    compared: list[ast.expr] = [
        ast.copy_location(ast.Compare(left=sides[k], ops=[sign], comparators=[sides[k + 1]]), node)
        for k, sign in enumerate(node.ops)
    ]
    return ast.BoolOp(op=ast.And(), values=compared)


def _text(value: ast.expr) -> ast.expr | None:
    """A part of an f-string as an expression that is a text; None when it is formatted in some other way."""
    if isinstance(value, ast.Constant):
        return value
    if not isinstance(value, ast.FormattedValue) or value.conversion != -1 or value.format_spec is not None:
        return None
    name = ast.copy_location(ast.Name(id="str", ctx=ast.Load()), value)
    return ast.copy_location(ast.Call(func=name, args=[value.value], keywords=[]), value)


def _added(left: ast.expr, right: ast.expr) -> ast.expr:
    return ast.copy_location(ast.BinOp(left=left, op=ast.Add(), right=right), left)
