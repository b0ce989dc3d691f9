"""Python: structure and normal form through ast."""

from __future__ import annotations

import ast
import builtins

from altlas_agent.languages.base import MAX_CODE_CHARS, MAX_NUMBER, Structure

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
    ast.And: "and", ast.Or: "or", ast.Not: "not", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.LShift: "<<", ast.RShift: ">>", ast.Invert: "~", ast.MatMult: "@",
}  # fmt: skip

_CONSTRUCTS: dict[type[ast.AST], str] = {
    ast.For: "loop", ast.While: "loop", ast.AsyncFor: "loop", ast.comprehension: "loop",
    ast.If: "condition", ast.IfExp: "condition", ast.Match: "condition",
    ast.FunctionDef: "function", ast.AsyncFunctionDef: "function",
    ast.Return: "return", ast.Assign: "assignment", ast.AugAssign: "assignment", ast.AnnAssign: "assignment",
    ast.NamedExpr: "assignment", ast.List: "list", ast.ListComp: "list",
    ast.Import: "import", ast.ImportFrom: "import",
}  # fmt: skip


class Python:
    """Python source text."""

    name = "python"

    def structure(self, code: str) -> Structure | None:
        tree = parse(code)
        if tree is None:
            return None
        nodes = list(ast.walk(tree))
        constants: list[object] = [node.value for node in nodes if isinstance(node, ast.Constant)]
        return Structure(
            operators=frozenset(_OPERATORS[type(node)] for node in nodes if type(node) in _OPERATORS),
            numbers=frozenset(value for c in constants if (value := _number(c)) is not None)
            | _negatives(nodes),
            strings=frozenset(c for c in constants if isinstance(c, str)),
            constructs=frozenset(_CONSTRUCTS[type(n)] for n in nodes if type(n) in _CONSTRUCTS)
            | _calls(nodes),
        )

    def normal_form(self, code: str) -> str | None:
        tree = parse(code)
        if tree is None:
            return None
        return ast.dump(_Renamer(_bound(tree)).visit(tree), annotate_fields=False)


def parse(code: str) -> ast.Module | None:
    """Hostile source can exhaust the parser in several ways; all of them mean: not a program."""
    if len(code) > MAX_CODE_CHARS:
        return None
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _number(value: object) -> float | None:
    """The value of a number; None for truth values, and for integers too large to be a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MAX_NUMBER:
        return None
    return float(value)


def _negatives(nodes: list[ast.AST]) -> frozenset[float]:
    operands = [n.operand for n in nodes if isinstance(n, ast.UnaryOp) and isinstance(n.op, ast.USub)]
    values = [_number(operand.value) for operand in operands if isinstance(operand, ast.Constant)]
    return frozenset(-value for value in values if value is not None)


def _calls(nodes: list[ast.AST]) -> frozenset[str]:
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = [
        f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, ast.Name | ast.Attribute)
    ]
    return frozenset(f"call:{name}" for name in names)


def _bound(tree: ast.Module) -> frozenset[str]:
    """Names that the program itself gives; those it only uses (builtins) keep their meaning."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
    return frozenset(bound - set(dir(builtins)))


class _Renamer(ast.NodeTransformer):
    """Gives bound names numbers in the order of their first appearance."""

    def __init__(self, bound: frozenset[str]) -> None:
        self._bound = bound
        self._numbers: dict[str, str] = {}

    def _new(self, name: str) -> str:
        if name not in self._bound:
            return name
        return self._numbers.setdefault(name, f"${len(self._numbers)}")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(id=self._new(node.id), ctx=node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(arg=self._new(node.arg), annotation=None)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._new(node.name)
        return self.generic_visit(node)
