"""Language-free skeletons of programs: token names with typed holes, for any task of a kind.

HOLE_k stands for an expression, written `sort@variables`: `num@1` is a number in whose place VAR_0 is in scope.
`T` is the type that the function returns, `E` what the loop goes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Kind

if TYPE_CHECKING:
    from altlas_agent.languages.tokens.grammar import Shape


class Hole(NamedTuple):
    """What may stand in a hole: a sort, the types of the variables in scope, and at most so many tokens.

    `mentions` is a variable without which it would be no use, `avoids` one that it has no business with, `only`
    names what it may begin with.
    """

    sort: str
    scope: tuple[str, ...] = ()
    most: int = 99
    mentions: int | None = None
    avoids: int | None = None
    only: tuple[str, ...] = ()


class Template(NamedTuple):
    """Names of tokens, among them HOLE_0, HOLE_1 and so on."""

    name: str
    names: tuple[str, ...]
    holes: tuple[Hole, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is an expression and nothing else."""
        return len(self.holes) == 1 and not self.holes[0].scope

    @property
    def size(self) -> int:
        """Tokens beside those in the holes."""
        return len(self.names) - len(self.holes)


class _Loop(NamedTuple):
    head: str
    element: str
    holes: tuple[Hole, ...]


_NEUTRAL = {
    "num": ("INT_0", "INT_1"),
    "str": ("EMPTY_STR",),
    "bool": ("TRUE", "FALSE"),
    "list": ("EMPTY_LIST",),
    "words": ("EMPTY_WORDS",),
}
"""What gathering begins with."""


_CHOICES = {"num": "PICK_NUM", "str": "PICK_STR"}


def _loops(shape: Shape) -> tuple[_Loop, ...]:
    """Ways to repeat something: over numbers, and over what the shape has arguments or literals of."""
    first = Hole("num", most=1, only=() if shape.kind is Kind.STDOUT else _NEUTRAL["num"])
    made = [_Loop("FOR_RANGE", "num", (first, Hole("num", most=2)))]
    if "list" in shape.params:
        made.append(_Loop("FOR_EACH", "num", (Hole("list", most=2),)))
    if "str" in shape.params or shape.num_strings:
        made.append(_Loop("FOR_CHAR", "str", (Hole("str", most=1),)))
    if "words" in shape.params:
        made.append(_Loop("FOR_WORD", "str", (Hole("words", most=2),)))
    return tuple(made)


def templates(shape: Shape) -> tuple[Template, ...]:
    """The skeletons for one shape of task, those with the fewest parts first."""
    if shape.kind is Kind.STDOUT:
        return tuple(_printing(shape))
    return tuple(_returning(shape))


def _printing(shape: Shape) -> list[Template]:
    made = [_template("print", "OUTPUT {} END", Hole("printable"))]
    for loop in _loops(shape):
        scope, head = (loop.element,), _head(loop, 0)
        said = Hole("printable", scope)
        made.append(
            _template(f"print in {loop.head}", f"{head} OUTPUT {{}} BLOCK_END END", *loop.holes, said)
        )
        made.append(
            _template(
                f"choose in {loop.head}",
                f"{head} IF_ELSE {{}} BLOCK_START OUTPUT {{}} BLOCK_END BLOCK_START OUTPUT {{}} BLOCK_END "
                "BLOCK_END END",
                *loop.holes,
                Hole("bool", scope, most=5, mentions=0),
                said._replace(most=1),
                said._replace(most=1),
            )
        )
    return made


def _returning(shape: Shape) -> list[Template]:
    kind = shape.returns
    made = [_template("return", _function("RETURN {}"), Hole(kind))]
    if kind in _CHOICES:
        choice = _template(
            "choose",
            _function(f"RETURN {_CHOICES[kind]} {{}} {{}} {{}}"),
            Hole("bool"),
            Hole(kind),
            Hole(kind),
        )
        made.append(choice)
    for loop in _loops(shape):
        scope, head = (kind, loop.element), _head(loop, 1)
        first, step = Hole(kind, most=1, only=_NEUTRAL[kind]), Hole(kind, scope, most=5, mentions=0)
        made.append(
            _template(
                f"gather in {loop.head}",
                _function(f"ASSIGN VAR_0 {{}} {head} UPDATE VAR_0 {{}} BLOCK_END RETURN VAR_0"),
                first,
                *loop.holes,
                step,
            )
        )
        made.append(
            _template(
                f"gather some in {loop.head}",
                _function(
                    f"ASSIGN VAR_0 {{}} {head} IF {{}} BLOCK_START UPDATE VAR_0 {{}} BLOCK_END BLOCK_END RETURN VAR_0"
                ),
                first,
                *loop.holes,
                Hole("bool", scope, most=5, mentions=1, avoids=0),
                step._replace(most=3),
            )
        )
    return made


def _function(body: str) -> str:
    return f"FUNC_DEF FUNC_0 BLOCK_START {body} BLOCK_END END"


def _head(loop: _Loop, variable: int) -> str:
    return f"{loop.head} VAR_{variable} {' '.join(['{}'] * len(loop.holes))} BLOCK_START"


def _template(name: str, text: str, *holes: Hole) -> Template:
    return Template(name, tuple(text.format(*(f"HOLE_{k}" for k in range(len(holes)))).split()), holes)
