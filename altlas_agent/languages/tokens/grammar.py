"""The abstract grammar as next-token sets: every complete sequence is a program.

A program is written in prefix order, one token per production. A `Derivation` keeps the stack of open
holes, so what may come next is decided by the top hole, by the variables in scope and by how many
tokens are left: a token is offered only while the shortest completion still fits `max_tokens`.

    sort        what fills a hole: num, str, bool, list, words, or a place such as `main`, `block`
    production  sort -> token and the holes it leaves, in order
    action      a stack entry starting with '!': changes the scope, asks for no token
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary
from altlas_agent.core.records import Kind, Task
from altlas_agent.languages.tokens.vocabulary import vocabulary

MAX_VARIABLES = 4
MAX_LITERALS = 4
TYPES = ("num", "str", "bool", "list", "words")
PRINTABLE = ("num", "str", "bool")

Holes = tuple[str, ...]
Options = dict[int, Holes]
Variable = tuple[str, bool]


class Productions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """configs/grammars/abstract.json: for each sort, token name -> holes."""

    about: str
    statements: dict[str, Holes]
    num: dict[str, Holes]
    str_: dict[str, Holes] = msgspec.field(name="str")
    bool_: dict[str, Holes] = msgspec.field(name="bool")
    list_: dict[str, Holes] = msgspec.field(name="list")
    words: dict[str, Holes]

    def of_type(self, name: str) -> dict[str, Holes]:
        return {
            "num": self.num,
            "str": self.str_,
            "bool": self.bool_,
            "list": self.list_,
            "words": self.words,
        }[name]


@cache
def productions() -> Productions:
    """Raises LanguageError when the shipped grammar is broken."""
    with boundary(LanguageError, "reading configs/grammars/abstract.json"):
        return msgspec.json.decode(resources.read_text("configs", "grammars/abstract.json"), type=Productions)


class Shape(msgspec.Struct, frozen=True):
    """All that the grammar needs to know of a task; tasks of one shape share a grammar."""

    kind: Kind
    params: tuple[str, ...]
    returns: str
    num_numbers: int
    num_strings: int
    types: frozenset[str]
    banned: frozenset[int]
    max_tokens: int


def shape_of(task: Task) -> Shape:
    """The shape of a task, with the tokens that its constraints forbid left out."""
    signature = task.signature
    params = tuple(param.type for param in signature.params) if signature else ()
    returns = signature.returns if signature else ""
    return Shape(
        kind=task.kind,
        params=params,
        returns=returns,
        num_numbers=min(len(task.numbers), MAX_LITERALS),
        num_strings=min(len(task.strings), MAX_LITERALS),
        types=_types_in_play(task, {*params, returns}),
        banned=_banned(task),
        max_tokens=task.constraints.max_tokens,
    )


def _types_in_play(task: Task, named: set[str]) -> frozenset[str]:
    """Numbers and truth values always; other types where the task speaks of them."""
    types = {"num", "bool"} | (named & set(TYPES))
    if task.strings or "words" in types:
        types.add("str")
    if "list" in task.constraints.require_constructs:
        types.add("list")
    return frozenset(types)


def _banned(task: Task) -> frozenset[int]:
    """Tokens that are retired, or would bring in what the constraints forbid."""
    words, rules = vocabulary(), task.constraints
    banned = {*words.retired(), *words.marked(frozenset(rules.forbid_operators + rules.forbid_constructs))}
    constants = {"INT_0": 0, "INT_1": 1, "INT_2": 2, "INT_10": 10}
    numbers = {f"NUM_{k}": number for k, number in enumerate(task.numbers[:MAX_LITERALS])}
    banned.update(
        words.number[n] for n, value in {**constants, **numbers}.items() if value in rules.forbid_numbers
    )
    strings = enumerate(task.strings[:MAX_LITERALS])
    banned.update(words.number[f"STR_{k}"] for k, text in strings if text in rules.forbid_strings)
    return frozenset(banned)


class Choice:
    """What may come next at a place, made once for all places that offer the same.

    `moves` is token -> the holes it opens, last one first, and the tokens it costs more than the cheapest.
    """

    __slots__ = ("moves", "options")

    def __init__(self, options: Options, extra: dict[int, int]) -> None:
        self.options = options
        self.moves = {token: (holes[::-1], extra[token]) for token, holes in options.items()}

    @property
    def cheapest(self) -> int:
        """The token that makes the rest of the program shortest; of several the one with the lowest number."""
        return min(self.moves, key=lambda token: (self.moves[token][1], token))


class Grammar:
    """The productions that one shape of task may use, and the least cost of each sort in tokens."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.start = "main" if shape.kind is Kind.STDOUT else "function"
        self.sorts = self._sorts()
        self.type_of = {t: name for name in TYPES for t in self.sorts.get(name, {})}
        self.cost = self._costs()
        if not math.isfinite(self.cost[self.start]) or self.cost[self.start] > shape.max_tokens:
            raise LanguageError(
                f"no program fits: constraints or max_tokens={shape.max_tokens} leave no way to write one"
            )
        self._prune()
        self._choices: dict[tuple[str, tuple[Variable, ...], int], Choice] = {}
        widest = max(self.extra(sort, holes) for sort, made in self.sorts.items() for holes in made.values())
        self.slack_cap = int(widest)

    def _sorts(self) -> dict[str, Options]:
        """Every sort with its productions, before those that can never be completed are pruned."""
        number = vocabulary().number
        sorts = {name: self._expressions(name) for name in TYPES if name in self.shape.types}
        function = self.shape.kind is Kind.FUNCTION
        statements = {number[n]: holes for n, holes in productions().statements.items()}
        ends: Options = {}
        if function:
            del statements[number["OUTPUT"]]
            ends = {number["RETURN"]: (self.shape.returns, "block_end")}
        close: Options = {number["BLOCK_END"]: ("!leave",)}

        def then(rest: str) -> Options:
            return {token: (*holes, rest) for token, holes in statements.items()}

        sorts |= {
            "block": {number["BLOCK_START"]: ("!open", "block_first")},
            "block_first": {**then("block_rest"), **ends},
            "block_rest": {**then("block_rest"), **ends, **close},
            "block_end": close,
            "end": {number["END"]: ()},
            "main": then("main_rest"),
            "main_rest": {**then("main_rest"), number["END"]: ()},
            "function": {number["FUNC_DEF"]: ("func_name", "body", "end")},
            "func_name": {number["FUNC_0"]: ()},
            "body": {number["BLOCK_START"]: ("!open", "body_rest")},
            "body_rest": {**then("body_rest"), **ends},
            "any": {t: h for name in TYPES for t, h in sorts.get(name, {}).items()},
            "printable": {t: h for name in PRINTABLE for t, h in sorts.get(name, {}).items()},
        }
        return {sort: self._allowed(made) for sort, made in sorts.items()}

    def _expressions(self, name: str) -> Options:
        """The productions of one type, with the literal slots and arguments this task really has."""
        number, shape = vocabulary().number, self.shape
        absent = {f"NUM_{k}" for k in range(shape.num_numbers, MAX_LITERALS)}
        absent |= {f"STR_{k}" for k in range(shape.num_strings, MAX_LITERALS)}
        made = {number[n]: h for n, h in productions().of_type(name).items() if n not in absent}
        made |= {number[f"ARG_{k}"]: () for k, param in enumerate(shape.params) if param == name}
        return made

    def _allowed(self, made: Options) -> Options:
        return {token: holes for token, holes in made.items() if token not in self.shape.banned}

    def _costs(self) -> dict[str, float]:
        """The fewest tokens that complete each sort: a fixed point over the productions."""
        cost = dict.fromkeys(self.sorts, math.inf) | {"new_var": 1.0, "old_var": 1.0, "same": 1.0}
        changed = True
        while changed:
            changed = False
            for sort, made in self.sorts.items():
                best = min((1 + self._sum(cost, holes) for holes in made.values()), default=math.inf)
                if best < cost[sort]:
                    cost[sort], changed = best, True
        return cost

    @staticmethod
    def _sum(cost: dict[str, float], holes: Holes) -> float:
        return sum(cost.get(hole, math.inf) for hole in holes if hole[0] != "!")

    def extra(self, sort: str, holes: Holes) -> float:
        """How many tokens more than the cheapest completion this production needs."""
        return 1 + self._sum(self.cost, holes) - self.cost[sort]

    def _prune(self) -> None:
        for sort, made in self.sorts.items():
            self.sorts[sort] = {t: h for t, h in made.items() if math.isfinite(self._sum(self.cost, h))}

    def choice(self, sort: str, scope: tuple[Variable, ...], slack: int) -> Choice:
        """What may fill a hole of `sort`. Never empty."""
        key = (sort, scope, min(self.slack_cap, slack))
        found = self._choices.get(key)
        if found is None:
            found = self._choices[key] = self._make_choice(sort, scope, slack)
        return found

    def _make_choice(self, sort: str, scope: tuple[Variable, ...], slack: int) -> Choice:
        options = self._make_options(sort, scope, slack)
        is_free = sort in ("new_var", "old_var")
        extra = {token: 0 if is_free else int(self.extra(sort, holes)) for token, holes in options.items()}
        return Choice(options, extra)

    def _make_options(self, sort: str, scope: tuple[Variable, ...], slack: int) -> Options:
        number = vocabulary().number
        if sort == "new_var":
            return {number[f"VAR_{len(scope)}"]: ()}
        if sort == "old_var":
            return {number[f"VAR_{k}"]: () for k, (_, updatable) in enumerate(scope) if updatable}
        options = {
            token: holes
            for token, holes in self.sorts[sort].items()
            if self.extra(sort, holes) <= slack and _fits_scope(holes, scope)
        }
        types = {"any": TYPES, "printable": PRINTABLE}.get(sort, (sort,))
        options |= {number[f"VAR_{k}"]: () for k, (name, _) in enumerate(scope) if name in types}
        return options


def _fits_scope(holes: Holes, scope: tuple[Variable, ...]) -> bool:
    if "new_var" in holes and len(scope) >= MAX_VARIABLES:
        return False
    return "old_var" not in holes or any(updatable for _, updatable in scope)


@lru_cache(maxsize=4096)
def grammar_of(shape: Shape) -> Grammar:
    """The grammar of a shape, built once."""
    return Grammar(shape)


class Derivation:
    """One program being written. Feed it tokens until `done`."""

    __slots__ = ("_choice", "_last_type", "_marks", "_scope", "_stack", "grammar", "slack")

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.slack = int(grammar.shape.max_tokens - grammar.cost[grammar.start])
        self._stack: list[str] = [grammar.start]
        self._scope: tuple[Variable, ...] = ()
        self._marks: list[int] = []
        self._last_type = ""
        self._choice: Choice | None = None

    def copy(self) -> Derivation:
        """The same program so far, to be gone on with in another way."""
        other = Derivation.__new__(Derivation)
        other.grammar, other.slack = self.grammar, self.slack
        other._stack, other._marks = [*self._stack], [*self._marks]
        other._scope, other._last_type, other._choice = self._scope, self._last_type, self._choice
        return other

    @property
    def done(self) -> bool:
        return not self._stack

    @property
    def depth(self) -> int:
        """How many holes and actions are open."""
        return len(self._stack)

    @property
    def hole(self) -> str:
        """The sort that the next token fills; "" when done."""
        return self._stack[-1] if self._stack else ""

    def options(self) -> Options:
        """What may come next: token -> the holes it would open."""
        return self.choice().options

    def choice(self) -> Choice:
        """The same with all that the grammar knows of it."""
        found = self._choice
        if found is None:
            found = self._choice = self.grammar.choice(self._stack[-1], self._scope, self.slack)
        return found

    def advance(self, token: int) -> None:
        """Write one token. Raises LanguageError when the grammar does not allow it here."""
        move = self.choice().moves.get(token)
        if move is None:
            name = vocabulary().tokens[token].name if token < len(vocabulary()) else str(token)
            raise LanguageError(f"{name} cannot fill a {self._stack[-1]} hole here")
        stack, (opened, extra) = self._stack, move
        sort = stack.pop()
        if sort in ("any", "printable", "old_var"):
            self._last_type = self._type(token)
        if sort == "old_var":
            stack[-1] = self._last_type
        self.slack -= extra
        stack += opened
        self._choice = None
        while stack and stack[-1][0] == "!":
            self._act(stack.pop())

    def _type(self, token: int) -> str:
        name = vocabulary().tokens[token].name
        return self._scope[int(name[4:])][0] if name.startswith("VAR_") else self.grammar.type_of[token]

    def _act(self, action: str) -> None:
        if action == "!leave":
            self._scope = self._scope[: self._marks.pop()]
            return
        if action == "!declare":
            self._scope = (*self._scope, (self._last_type, True))
            return
        self._marks.append(len(self._scope))
        if action.startswith("!enter "):
            self._scope = (*self._scope, (action.removeprefix("!enter "), False))


def check(task: Task, tokens: tuple[int, ...]) -> None:
    """Raises LanguageError unless `tokens` is one complete program of the task's grammar."""
    derivation = Derivation(grammar_of(shape_of(task)))
    for place, token in enumerate(tokens):
        if derivation.done:
            raise LanguageError(f"token {place}: the program had ended before")
        derivation.advance(token)
    if not derivation.done:
        raise LanguageError(f"the program is not complete: a {derivation.hole} hole is open")
