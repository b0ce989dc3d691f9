"""Many programs in flight over a few worker processes: fair between callers, cancellable, remembered.

    loop     waits for                       unblocked by
    -------  ------------------------------  -----------------------------------------------------
    run      the same program run by         that other run, also when it fails or is cancelled
             somebody else
    run      its caller's turn               a run that ends; `_adapt`, when it lets more in
    run      the result                      the crew, which replaces lost workers; the deadline
    _adapt   `ADAPT_S`                       the clock

How many are in flight lies between the number of workers and twice that: with a request in hand no
worker waits for the next one, but on a busy machine that only lengthens the queue.
"""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from altlas_agent.core.errors import ungrouped
from altlas_agent.core.records import Limits, Program, Record, RunResult, Status
from altlas_agent.core.requests import Execute, Executed, SetUpWorker
from altlas_agent.core.text import safe
from altlas_agent.sandbox.crew.memory import Memory
from altlas_agent.sandbox.crew.processes import Crew
from altlas_agent.sandbox.crew.turns import Turns
from altlas_agent.sandbox.runner import refusal, refused
from altlas_agent.sandbox.slots import REPEATABLE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from altlas_agent.core.requests import RungChange

logger = logging.getLogger(__name__)

PRESSURE = Path("/proc/pressure/cpu")
BUSY_PERCENT, CALM_PERCENT = 80.0, 50.0
ADAPT_S = 2.0
TRIES = 3
"""A program may stand next to one that brings its worker down, or be there when somebody kills it."""

SLACK_S = 120.0
"""What an answer may take beyond the clock of its program, of one before it, and of a second try."""


class PoolStatistics(Record):
    """A pool in numbers: `runs` are those that no memory saved, `pressure` is in percent."""

    workers: int
    in_flight: int
    waiting: int
    limit: int
    runs: int
    cache_hits: int
    hit_rate: float
    workers_lost: int
    infrastructure_failures: int
    pressure: float


class Pool:
    """Runs programs in worker processes. Made by `start`; belongs to one event loop."""

    def __init__(self, crew: Crew, *, workers: int, cache: int, version_of: Callable[[str], str]) -> None:
        self._crew = crew
        self._workers = workers
        self._version_of = version_of
        self._turns = Turns(workers)
        self._results: Memory[RunResult] = Memory(cache)
        self._failures = 0
        self._pressure = 0.0

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        set_up: SetUpWorker,
        *,
        module: str,
        workers: int,
        cache: int = 0,
        version_of: Callable[[str], str] = lambda _: "",
        pressure: Path = PRESSURE,
        log_folder: Path | None = None,
    ) -> AsyncGenerator[Pool]:
        """Start `workers` processes of `module`, which answer `set_up` and then `Execute`.

        The last `cache` results are remembered for as long as `version_of` the language stays the same.
        A change of rung is logged as a warning.
        """
        with ungrouped():
            async with (
                Crew.start(
                    set_up, count=workers, module=module, on_rung_change=_warn, log_folder=log_folder
                ) as crew,
                anyio.create_task_group() as tasks,
            ):
                pool = cls(crew, workers=workers, cache=cache, version_of=version_of)
                tasks.start_soon(pool._adapt, pressure)
                yield pool
                tasks.cancel_scope.cancel()

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that are at work now."""
        return tuple(self._crew.pids.values())

    async def ready(self) -> None:
        """Wait until all workers are at work; raises what keeps one of them from it."""
        await self._crew.ready()

    async def run(self, program: Program, limits: Limits, *, caller: str = "") -> RunResult:
        """What the program showed. `caller` is who shares the pool fairly with other callers.

        A failure of the sandbox is tried again on a fresh worker; only after `TRIES` of them is the
        result `internal`. Raises NoJailError when no permitted jail works here.
        """
        reason = refusal(program)
        if reason:
            return refused(reason)
        identity = msgspec.msgpack.encode((program, limits, self._version_of(program.language)))
        key = blake2b(identity, digest_size=16).digest()
        make = partial(self._execute, Execute(program=program, limits=limits), caller)
        return await self._results.recall(key, make, keeps=_is_repeatable)

    def statistics(self) -> PoolStatistics:
        """How the pool is doing."""
        hits, misses = self._results.hits, self._results.misses
        return PoolStatistics(
            workers=self._workers,
            in_flight=self._turns.in_flight,
            waiting=self._turns.waiting,
            limit=self._turns.limit,
            runs=misses,
            cache_hits=hits,
            hit_rate=hits / max(1, hits + misses),
            workers_lost=self._crew.lost,
            infrastructure_failures=self._failures,
            pressure=self._pressure,
        )

    async def _execute(self, request: Execute, caller: str) -> RunResult:
        timeout_s = SLACK_S + 4 * request.limits.wall_s
        async with self._turns.turn(caller):
            reply = await self._crew.ask(
                request, Executed, timeout_s=timeout_s, tries=TRIES, unfit=self._is_failure
            )
        return reply.result if reply else _given_up()

    def _is_failure(self, reply: Executed) -> bool:
        failed = reply.result.status is Status.INTERNAL
        self._failures += failed
        return failed

    async def _adapt(self, pressure: Path) -> None:
        """Let in one more or one fewer, as the pressure on the processors falls or rises."""
        while True:
            await anyio.sleep(ADAPT_S)
            self._pressure = _average(pressure)
            if self._pressure > BUSY_PERCENT:
                self._turns.limit = max(self._workers, self._turns.limit - 1)
            elif self._pressure < CALM_PERCENT:
                self._turns.limit = min(2 * self._workers, self._turns.limit + 1)


async def _warn(worker: str, change: RungChange) -> None:
    # What bubblewrap or a program said is foreign, and whoever logs may have set up no formatter.
    logger.warning("%s: %s", worker, safe(str(change), keep_newlines=False))


def _is_repeatable(result: RunResult) -> bool:
    return result.status in REPEATABLE


def _given_up() -> RunResult:
    return RunResult(status=Status.INTERNAL, stderr=b"sandbox: every worker that ran this program died")


def _average(pressure: Path) -> float:
    """The share of the last ten seconds in which somebody waited for a processor; 0 where it is not told."""
    try:
        text = pressure.read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"^some avg10=(\d+(?:\.\d+)?)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
