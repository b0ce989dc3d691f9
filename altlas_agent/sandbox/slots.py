"""Owns the jails and their warm fork-servers inside a worker process: start, probe, respawn, limits.

A worker process is one thread that calls `run` for one program after the other. It becomes the
reaper of whatever its jails leave behind.
"""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from altlas_agent.core.errors import NoJailError, SandboxError, ServiceMissingError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.core.requests import RungChange
from altlas_agent.languages.execution import executions
from altlas_agent.sandbox.advice.precheck import Threshold, objection
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.engines import quickjs
from altlas_agent.sandbox.engines.command import Commands
from altlas_agent.sandbox.engines.interpreters import Engine, node_engine, python_engine
from altlas_agent.sandbox.engines.loda import LIBRARY, Loda
from altlas_agent.sandbox.engines.tools import find_tool
from altlas_agent.sandbox.jail import INSTALL_BUBBLEWRAP, Jailer, unprivileged
from altlas_agent.sandbox.library import EMPTY, Library
from altlas_agent.sandbox.limits import CEILINGS, clamp
from altlas_agent.sandbox.node import Node
from altlas_agent.sandbox.runner import Runner, refusal, refused
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.warm import ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MAX_REMEMBERED_BYTES = 4096
RETRY_S = 60.0
"""How long a language stays on a weaker rung than it once had before the better ones are tried again."""

REPEATABLE = frozenset(
    {Status.SUCCESS, Status.ERROR, Status.SIGNAL, Status.OUTPUT_LIMIT, Status.COMPILE_ERROR}
)
"""What the same program may be expected to show again: nothing that depends on the clock or the load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings of the sandbox, as plain values."""

    python: str = "auto"
    node: str = "auto"
    allow_unsafe: bool = False
    allow_reduced: bool = False
    uid: int = 0
    ceilings: Limits = CEILINGS
    result_cache: int = 100_000
    prewarmed: int = 2
    refuse_severity: Threshold = "none"
    languages: str = ""
    """A file with further languages, in the format of configs/languages/execution.json."""
    javascript: Literal["node", "quickjs"] = "node"
    cross_check: float = 0.0


Rung = tuple[str, "Callable[[Options], Runner]"]


def _jailer(options: Options) -> Jailer:
    return Jailer(uid=unprivileged(options.uid))


def _reduced(options: Options) -> Jailer:
    if not options.allow_reduced:
        raise NoJailError("a jail of Landlock alone needs sandbox.allow_reduced = true")
    return Jailer(uid=unprivileged(options.uid), reduced=True)


def _bare(options: Options) -> Jailer:
    if not options.allow_unsafe:
        raise NoJailError("running without a jail needs sandbox.allow_unsafe = true")
    return Jailer(uid=unprivileged(options.uid), bare=True)


def _pythons(library: Library = EMPTY) -> tuple[Rung, ...]:
    """The rungs of what runs as Python."""

    def warm(options: Options, *, full: bool) -> ForkServer:
        jailer, engine = _jailer(options), python_engine(options.python)
        return ForkServer(jailer, engine, cgroup=Cgroup.make() if full else None, library=library)

    def cold(options: Options, jailer: Callable[[Options], Jailer]) -> ColdPython:
        return ColdPython(jailer(options), python_engine(options.python), library=library)

    return (
        ("zygote-full", partial(warm, full=True)),
        ("zygote-no-cgroup", partial(warm, full=False)),
        ("bwrap-per-exec", partial(cold, jailer=_jailer)),
        ("landlock", partial(cold, jailer=_reduced)),
        ("plain", partial(cold, jailer=_bare)),
    )


def _loda(python: Callable[[Options], Runner]) -> Callable[[Options], Runner]:
    return lambda options: Loda(python(options))


def _node(options: Options, *, jailer: Callable[[Options], Jailer]) -> Node:
    return Node(jailer(options), node_engine(options.node), prewarmed=options.prewarmed)


def _quickjs(
    python: Callable[[Options], Runner], jailer: Callable[[Options], Jailer]
) -> Callable[[Options], Runner]:
    def both(options: Options) -> Runner:
        quickjs.check_installed()
        node = _node(options, jailer=jailer)
        try:
            return quickjs.QuickJs(python(options), node, cross_check=options.cross_check)
        except SandboxError:
            node.close()
            raise

    return both


_JAILERS = (("bwrap-per-exec", _jailer), ("landlock", _reduced), ("plain", _bare))

QUICKJS: tuple[Rung, ...] = tuple(
    (name, _quickjs(python, dict(_JAILERS).get(name, _jailer))) for name, python in _pythons(quickjs.LIBRARY)
)
"""The rungs of JavaScript with QuickJS, each with a node in the same kind of jail."""

LADDERS: dict[str, tuple[Rung, ...]] = {
    "python": _pythons(),
    "javascript": tuple((name, partial(_node, jailer=jailer)) for name, jailer in _JAILERS),
    "loda": tuple((name, _loda(python)) for name, python in _pythons(LIBRARY)),
}
"""For each language with a runner of its own the rungs that can run it, the strongest first."""

_CANARY_LIMITS = Limits(cpu_s=5.0, wall_s=10.0)


def ladder(language: str, options: Options) -> tuple[Rung, ...]:
    """The rungs for a language, the strongest first; what has no runner of its own runs as a command.

    Raises ServiceMissingError for a language that nobody described.
    """
    if language == "javascript" and options.javascript == quickjs.ENGINE:
        return QUICKJS
    if language in LADDERS:
        return LADDERS[language]
    known = executions(options.languages)
    if language not in known:
        names = ", ".join(dict.fromkeys((*LADDERS, *known)))
        raise ServiceMissingError(f"no sandbox runs {language!r}; there are: {names}")

    def commands(jailer: Callable[[Options], Jailer]) -> Callable[[Options], Runner]:
        return lambda options: Commands(
            jailer(options),
            python_engine(options.python),
            find_tool(language, known[language]),
            language=language,
            execution=known[language],
        )

    return (
        ("bwrap-per-exec", commands(_jailer)),
        ("landlock", commands(_reduced)),
        ("plain", commands(_bare)),
    )


def engine_of(language: str, options: Options) -> Engine:
    """What runs or compiles a language here; raises ServiceMissingError, with the package that brings it."""
    if language in ("python", "loda"):
        return python_engine(options.python)
    if language == "javascript":
        return node_engine(options.node)
    known = executions(options.languages)
    if language not in known:
        raise ServiceMissingError(f"no sandbox runs {language!r}; there are: {', '.join(known)}")
    return find_tool(language, known[language])


def canary(language: str, options: Options) -> Program:
    """A program that prints 42."""
    known = executions(options.languages)[language]
    return Program(language=language, code=known.canary, stdin=known.canary_stdin)


def check_languages(languages: Iterable[str], options: Options | None = None) -> None:
    """Make sure that programs in these languages can run, before a run depends on it.

    Raises ServiceMissingError for a missing interpreter or an unknown language, and NoJailError when no
    permitted rung works.
    """
    with Slots(options or Options()) as slots:
        for language in languages:
            slots.start(language)


class ResultCache:
    """Results by what was run; the least recently used are forgotten first."""

    def __init__(self, capacity: int) -> None:
        self.hits = self.misses = 0
        self._capacity = capacity
        self._results: OrderedDict[bytes, RunResult] = OrderedDict()

    def get(self, key: bytes) -> RunResult | None:
        """A result that was kept, counted as a hit or a miss."""
        result = self._results.get(key)
        if result is None:
            self.misses += 1
            return None
        self.hits += 1
        self._results.move_to_end(key)
        return result

    def put(self, key: bytes, result: RunResult) -> None:
        """Keep a result if the same program would show it again, and if it is small."""
        size = len(result.stdout) + len(result.stderr) + sum(map(len, result.returns))
        if result.status in REPEATABLE and size <= _MAX_REMEMBERED_BYTES:
            self._results[key] = result
            if len(self._results) > self._capacity:
                self._results.popitem(last=False)


class Slots:
    """One runner per language, started when first needed and replaced when lost."""

    def __init__(
        self,
        options: Options,
        on_rung_change: Callable[[RungChange], object] | None = None,
        *,
        last: Mapping[str, str] | None = None,
        best: Mapping[str, str] | None = None,
    ) -> None:
        """`on_rung_change` hears of every drop to a weaker rung and every way back up.

        Slots that take the place of others are told the rungs which those had `last`, and at `best`.
        """
        self._on_rung_change = on_rung_change
        self._retry_at_s: dict[str, float] = {}
        self.cache = ResultCache(options.result_cache)
        self.restarts = 0
        self._options = options
        self._runners: dict[str, Runner] = {}
        self._rungs: dict[str, Rung] = {}
        self._last, self._best = dict(last or {}), dict(best or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, language: str) -> str:
        """Start what runs this language, by the best rung that runs a canary; returns the rung's name."""
        if language not in self._runners:
            self._climb(language)
        return self._rungs[language][0]

    def alive(self, language: str = "python") -> str:
        """The identity of the slot for a language, "" when it has not been started or is lost."""
        runner = self._runners.get(language)
        return runner.alive() if runner else ""

    def run(self, program: Program, limits: Limits) -> RunResult:
        """Run a program, or remember how it ran; a fault of the sandbox is tried once more on a fresh slot."""
        limits = clamp(limits, self._options.ceilings)
        reason = (
            refusal(program)
            or self._unavailable(program.language)
            or objection(program, self._options.refuse_severity)
        )
        if reason:
            return refused(reason)
        key = blake2b(msgspec.msgpack.encode((program, limits)), digest_size=16).digest()
        result = self.cache.get(key)
        if result is None:
            result = self._run(program, limits)
            if result.status is Status.INTERNAL:
                self._replace(program.language)
                result = self._run(program, limits)
            self.cache.put(key, result)
        return result

    def close(self) -> None:
        """End every jail."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def _run(self, program: Program, limits: Limits) -> RunResult:
        if not self.alive(program.language):
            self._replace(program.language)
        elif time.monotonic() >= self._retry_at_s.get(program.language, math.inf):
            self._try_above(program.language)
        return self._runners[program.language].run(program, limits)

    def _replace(self, language: str) -> None:
        """A fresh slot on the same rung; when it runs no canary, the search starts again from the top."""
        self.restarts += 1
        self._runners.pop(language).close()
        try:
            self._runners[language], _ = _proved(self._rungs[language], language, self._options)
        except SandboxError:
            self._climb(language)

    def _try_above(self, language: str) -> None:
        """Once in a while: what kept us from a better rung may have passed."""
        self._runners.pop(language).close()
        self._climb(language)

    def _climb(self, language: str) -> None:
        """The best rung that works now; whoever listens hears when it is another one than before."""
        found = climb(language, self._options)
        self._rungs[language], self._runners[language] = found.rung, found.runner
        name, names = found.rung[0], [name for name, _ in ladder(language, self._options)]
        before, self._last[language] = self._last.get(language, name), name
        best = self._best.setdefault(language, name)
        if names.index(name) > names.index(best):
            self._retry_at_s[language] = time.monotonic() + RETRY_S
        else:
            self._best[language] = name
            self._retry_at_s.pop(language, None)
        if before != name and self._on_rung_change:
            why = "; ".join(found.failures)
            change = RungChange(language=language, before=before, after=name, layers=found.layers, why=why)
            self._on_rung_change(change)

    def _unavailable(self, language: str) -> str:
        try:
            self.start(language)
        except ServiceMissingError as error:
            return error.message
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foothold:
    """The rung that was reached, what runs programs there, and what the rungs above it lacked."""

    rung: Rung
    runner: Runner
    layers: tuple[str, ...]
    failures: tuple[str, ...]


def climb(language: str, options: Options) -> Foothold:
    """The best rung that really runs a program.

    Raises NoJailError with what each of them lacked.
    """
    failures: list[str] = []
    for rung in ladder(language, options):
        try:
            runner, layers = _proved(rung, language, options)
        except SandboxError as error:
            failures.append(f"{rung[0]}: {error.message}")
        else:
            return Foothold(rung=rung, runner=runner, layers=layers, failures=tuple(failures))
    raise NoJailError(_advice(language, failures))


def _proved(rung: Rung, language: str, options: Options) -> tuple[Runner, tuple[str, ...]]:
    """What runs programs on a rung, and its layers; raises SandboxError when it runs no canary."""
    runner = rung[1](options)
    shown = runner.run(canary(language, options), _CANARY_LIMITS)
    if shown.status is Status.SUCCESS and shown.stdout == b"42\n":
        return runner, shown.layers
    runner.close()
    raise SandboxError(f"{shown.status.value} {shown.stderr.decode(errors='replace')[:300]}")


def _advice(language: str, failures: list[str]) -> str:
    said = "; ".join(failures)
    if "bwrap" in said and "missing" in said:
        return f"no jail for {language} programs: bubblewrap is not installed; {INSTALL_BUBBLEWRAP} ({said})"
    return (
        f"no jail for {language} programs works on this machine: it needs bubblewrap and user namespaces for uid "
        f"{os.geteuid()}; on Ubuntu 24.04 or later give bwrap an AppArmor profile, in a container allow user "
        f"namespaces ({said})"
    )
