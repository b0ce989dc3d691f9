"""Runs abstract programs on plain values: no source text, no jail, no interpreter of a language.

The alphabet is closed, so nothing that is run here can reach anything: numbers, lengths, depth and steps are
bounded. It decides nothing about an attempt, which only the sandbox does; search uses it to tell what is
worth trying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from altlas_agent.languages.tokens.tree import BLOCK, Node, parse_names
from altlas_agent.languages.tokens.values import CONSTANTS, OPERATIONS, Undefined, Value, args_from_json, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from altlas_agent.core.records import Case, Task

MAX_STEPS = 3_000
"""Statements that one run may take."""
MAX_LINES = 500


class Inputs(NamedTuple):
    """What a program is given: its arguments, and the literals of the description that its slots stand for."""

    args: tuple[Value, ...]
    numbers: tuple[int, ...] = ()
    strings: tuple[str, ...] = ()


def inputs_of(task: Task, case: Case) -> Inputs:
    """What one test of a task gives. Raises TypeError for values that the grammar has no type for."""
    return Inputs(args_from_json(case.args), task.numbers, task.strings)


class Frame:
    """The variables of one run, what it printed, and the steps that it has left."""

    __slots__ = ("holes", "inputs", "lines", "steps", "variables")

    def __init__(
        self, inputs: Inputs, variables: Sequence[object] = (), holes: Sequence[Filling] = ()
    ) -> None:
        self.inputs = inputs
        self.holes = holes
        """What stands where a template has HOLE_k."""
        self.variables: list[object] = [*variables, *[None] * (6 - len(variables))]
        self.lines: list[str] = []
        self.steps = MAX_STEPS


Filling: TypeAlias = "Callable[[Frame], object]"


class _Return(Exception):
    """Raised by RETURN, with its value."""


class Machine:
    """One program, or a template with holes, ready to be run any number of times."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Raises LanguageError when the sequence is not complete."""
        statements = parse_names(names).children
        if statements and statements[0].token == "FUNC_DEF":
            self._run = _block(statements[0].children[1].children)
        else:
            self._run = _block(statements)

    def returned(self, inputs: Inputs, holes: Sequence[Filling] = ()) -> object:
        """What the function gives; None when it gives nothing. Raises one of UNDEFINED."""
        try:
            self._run(Frame(inputs, holes=holes))
        except _Return as answer:
            return answer.args[0]
        return None

    def printed(self, inputs: Inputs, holes: Sequence[Filling] = ()) -> str:
        """All that the program prints. Raises one of UNDEFINED."""
        frame = Frame(inputs, holes=holes)
        self._run(frame)
        return "".join(f"{line}\n" for line in frame.lines)


def expression(node: Node) -> Filling:
    """An expression as a function of the frame; it raises one of UNDEFINED where it has no value."""
    name = node.token
    if name in CONSTANTS:
        value = CONSTANTS[name]
        return lambda _: value
    slot = name.rpartition("_")
    if slot[0] in _SLOTS:
        return _SLOTS[slot[0]](int(slot[2]))
    if name in _BINDERS:
        return _BINDERS[name](node)
    if name in _LAZY:
        return _LAZY[name](*map(expression, node.children))
    return _strict(OPERATIONS[name], [expression(child) for child in node.children])


def _strict(operation: Callable[..., object], holes: Sequence[Filling]) -> Filling:
    if len(holes) == 1:
        (only,) = holes
        return lambda frame: operation(only(frame))
    if len(holes) == 2:
        left, right = holes
        return lambda frame: operation(left(frame), right(frame))
    return lambda frame: operation(*[hole(frame) for hole in holes])


def _pick(condition: Filling, then: Filling, other: Filling) -> Filling:
    return lambda frame: then(frame) if condition(frame) else other(frame)


def _both(left: Filling, right: Filling) -> Filling:
    return lambda frame: left(frame) and right(frame)


def _either(left: Filling, right: Filling) -> Filling:
    return lambda frame: left(frame) or right(frame)


def _map(node: Node) -> Filling:
    many, place, body = _binder(node)

    def run(frame: Frame) -> object:
        return tuple(value for _, value in _each(frame, many, place, body))

    return run


def _filter(node: Node) -> Filling:
    many, place, body = _binder(node)

    def run(frame: Frame) -> object:
        return tuple(member for member, keeps in _each(frame, many, place, body) if keeps)

    return run


def _binder(node: Node) -> tuple[Filling, int, Filling]:
    many, variable, body = node.children
    return expression(many), _variable(variable), expression(body)


def _each(frame: Frame, many: Filling, place: int, body: Filling) -> Iterable[tuple[object, object]]:
    for member in _members(many(frame)):
        _step(frame)
        frame.variables[place] = member
        yield member, body(frame)


def _block(nodes: Iterable[Node]) -> Callable[[Frame], None]:
    statements = [_STATEMENTS[node.token](node) for node in nodes]

    def run(frame: Frame) -> None:
        for statement in statements:
            _step(frame)
            statement(frame)

    return run


def _output(node: Node) -> Callable[[Frame], None]:
    value = expression(node.children[0])

    def run(frame: Frame) -> None:
        if len(frame.lines) >= MAX_LINES:
            raise Undefined
        frame.lines.append(str(value(frame)))

    return run


def _set(node: Node) -> Callable[[Frame], None]:
    place, value = _variable(node.children[0]), expression(node.children[1])

    def run(frame: Frame) -> None:
        frame.variables[place] = value(frame)

    return run


def _return(node: Node) -> Callable[[Frame], None]:
    value = expression(node.children[0])

    def run(frame: Frame) -> None:
        raise _Return(value(frame))

    return run


def _if(node: Node) -> Callable[[Frame], None]:
    condition = expression(node.children[0])
    then, other = (_block(child.children) for child in (*node.children[1:], Node(BLOCK, (), 0, 0))[:2])

    def run(frame: Frame) -> None:
        (then if condition(frame) else other)(frame)

    return run


def _for_range(node: Node) -> Callable[[Frame], None]:
    first, last = expression(node.children[1]), expression(node.children[2])
    return _loop(node, lambda frame: span(first(frame), last(frame)))


def _for_each(node: Node) -> Callable[[Frame], None]:
    many = expression(node.children[1])
    return _loop(node, lambda frame: _members(many(frame)))


def _loop(node: Node, members: Callable[[Frame], Iterable[object]]) -> Callable[[Frame], None]:
    place, body = _variable(node.children[0]), _block(node.children[-1].children)

    def run(frame: Frame) -> None:
        for member in members(frame):
            _step(frame)
            frame.variables[place] = member
            body(frame)

    return run


def _members(many: object) -> Iterable[object]:
    if not isinstance(many, str | tuple):
        raise Undefined
    return cast("Iterable[object]", many)


def _variable(node: Node) -> int:
    return int(node.token.removeprefix("VAR_"))


def _step(frame: Frame) -> None:
    frame.steps -= 1
    if frame.steps < 0:
        raise Undefined


_SLOTS: dict[str, Callable[[int], Filling]] = {
    "ARG": lambda k: lambda frame: frame.inputs.args[k],
    "NUM": lambda k: lambda frame: frame.inputs.numbers[k],
    "STR": lambda k: lambda frame: frame.inputs.strings[k],
    "VAR": lambda k: lambda frame: frame.variables[k],
    "HOLE": lambda k: lambda frame: frame.holes[k](frame),
}
_BINDERS = {"MAP": _map, "FILTER": _filter}
_LAZY: dict[str, Callable[..., Filling]] = {
    "PICK_NUM": _pick,
    "PICK_STR": _pick,
    "AND": _both,
    "OR": _either,
}
_STATEMENTS: dict[str, Callable[[Node], Callable[[Frame], None]]] = {
    "OUTPUT": _output,
    "ASSIGN": _set,
    "UPDATE": _set,
    "RETURN": _return,
    "IF": _if,
    "IF_ELSE": _if,
    "FOR_RANGE": _for_range,
    "FOR_EACH": _for_each,
    "FOR_CHAR": _for_each,
    "FOR_WORD": _for_each,
}
