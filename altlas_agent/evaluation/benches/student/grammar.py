"""The grammar: complete programs, drawn for every task of the ladder, read by the languages' own parsers.

    measure             value is                                                      bar
    *_syntax_errors     programs of 20,000 a round that are none                      0
    *_programs          programs drawn, rendered and read for each CPU second         only told

They are drawn as the grammar arm draws, without a policy: whatever a policy may write lies among them. Python is
read by `compile`, JavaScript by the engine of node, which compiles and runs nothing.
"""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.evaluation.benches.measures import Bench, Measure, at_least, grown
from altlas_agent.generation.constrained import start
from altlas_agent.generation.priors import drawn_from_grammar
from altlas_agent.languages.render import render
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from altlas_agent.core.records import Task

SUITE = "ladder"
SAMPLES = 20_000
_PARSE_S = 300.0
_COUNT_BROKEN = """
const vm = require('vm');
const programs = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const broken = programs.filter((code) => { try { new vm.Script(code); } catch { return true; } return false; });
process.stdout.write(JSON.stringify(broken));
"""


def bench(*, rounds: int) -> Bench:
    """Raises ServiceMissingError without node."""
    measures: list[Measure] = []
    for language, broken_of in BROKEN_OF.items():
        tasks = [
            entry.instance() for entry in load_suite(SUITE).entries if entry.file.target_language == language
        ]
        began, broken = time.process_time(), 0
        for seed in range(rounds):
            broken += len(broken_of(list(itertools.islice(programs(tasks, seed), SAMPLES))))
        rate = rounds * SAMPLES / (time.process_time() - began)
        measures += [
            grown(f"{language}_syntax_errors", broken, 0.0, unit=f"of {rounds * SAMPLES}", bar=0.0),
            at_least(f"{language}_programs", rate, rate, unit="1/cpu-s", bar=0.0),
        ]
    return Bench(bench="grammar", measures=tuple(measures))


def programs(tasks: Sequence[Task], seed: int) -> Iterator[str]:
    """Source text without an end, for the tasks in turn."""
    rng = random.Random(seed)
    for task in itertools.cycle(tasks):
        derivation, tokens = start(task), list[int]()
        while not derivation.done:
            tokens.append(drawn_from_grammar(derivation, rng))
            derivation.advance(tokens[-1])
        yield render(task, tuple(tokens))


def broken_python(codes: Sequence[str]) -> list[str]:
    """Those that Python does not compile."""
    return [code for code in codes if not _compiles(code)]


def _compiles(code: str) -> bool:
    try:
        compile(code, "<program>", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def broken_javascript(codes: Sequence[str]) -> list[str]:
    """Those that node does not compile. Raises ServiceMissingError without one."""
    node = shutil.which("node")
    if node is None:
        raise ServiceMissingError("no node on PATH, which reads JavaScript programs; install it: make setup")
    told = subprocess.run(
        [node, "-e", _COUNT_BROKEN],
        input=msgspec.json.encode(codes),
        capture_output=True,
        check=True,
        timeout=_PARSE_S,
    )
    return msgspec.json.decode(told.stdout, type=list[str])


BROKEN_OF: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "python": broken_python,
    "javascript": broken_javascript,
}
