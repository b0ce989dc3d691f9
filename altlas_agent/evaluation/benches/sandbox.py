"""The sandbox against a bare subprocess: rate, CPU and latency at the daemon's face, full jail proved first.

    loop    waits for             unblocked by
    ------  --------------------  ----------------------------------------
    _ask    the answer of a       the worker, its death, or `ANSWER_S`
            worker
    _plain  a thread's programs   their end, or `ANSWER_S` for each

Each round runs the same program in the sandbox and in bare subprocesses of the same interpreter, right after
each other, with as many at a time as there are cores. CPU is that of every process that takes part.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
from anyio import to_thread

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.errors import SandboxError, ServiceMissingError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.core.requests import Execute, Executed, SetUpWorker, WorkerReady
from altlas_agent.evaluation.benches.measures import Bench, Measure, below, cheaper, faster, share
from altlas_agent.evaluation.benches.walls import prove_jail
from altlas_agent.sandbox.engines.interpreters import node_engine, python_engine
from altlas_agent.settings.run import Settings

ANSWER_S = 60.0
CORES = len(os.sched_getaffinity(0))
PER_ROUND, PLAIN_PER_ROUND, NODES = 200, 24, 8
QUICK_ROUNDS = 3
SETTLE_S = 0.4
"""How long a node needs to be booted ahead on a busy machine."""

TRIVIAL = "print('hello')\n"
IMPORTS = "import json, re, random, collections\nprint('hello')\n"
NODE = "console.log('hello')\n"

_MODULE = "altlas_agent.rewards.service"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Block:
    """What a number of executions took."""

    rate: float
    cpu_ms: float
    latencies_ms: list[float] = field(default_factory=list[float])


@dataclass(frozen=True)
class Round:
    """The same program both ways, right after each other."""

    ours: Block
    plain: Block


def bench(*, rounds: int) -> Bench:
    """Raises NoJailError or SandboxError when there is no full jail to measure."""
    return anyio.run(_bench, rounds)


async def _bench(rounds: int) -> Bench:
    async with AsyncExitStack() as stack:
        workers = [await _worker(stack, "python") for _ in range(CORES)]
        await prove_jail(workers[0].pid, lambda program: _ask(workers[0], program))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="altlas-bench-")))
        trivial = await _rounds(workers, TRIVIAL, folder / "trivial.py", rounds)
        imports = await _rounds(workers, IMPORTS, folder / "imports.py", rounds)
        measures = [*_trivial(trivial), _cpu("python_imports_cpu", imports)]
        with suppress(ServiceMissingError):  # a machine without node or QuickJS has a figure less
            measures.append(await _node(workers[0], folder / "node.js", node_engine("auto").path))
            measures.append(await _quickjs(workers[0], await _worker(stack, "javascript", "quickjs")))
    return Bench(bench="sandbox", measures=tuple(measures))


async def _worker(stack: AsyncExitStack, language: str, javascript: str = "node") -> ChildProcess:
    """Ready to run programs, of which it remembers none."""
    sandbox = {"result_cache": 0, "javascript": javascript, "cross_check": 0.0}
    settings = Settings.model_validate({"sandbox": sandbox})
    argv = [sys.executable, "-m", _MODULE]
    worker = await stack.enter_async_context(ChildProcess.start(name="worker", argv=argv))
    set_up = SetUpWorker(settings=settings.model_dump_json(), languages=(language,))
    await worker.ask(set_up, WorkerReady, timeout_s=ANSWER_S)
    return worker


async def _ask(worker: ChildProcess, program: Program) -> RunResult:
    request = Execute(program=program, limits=Limits())
    return (await worker.ask(request, Executed, timeout_s=ANSWER_S)).result


async def _rounds(workers: list[ChildProcess], code: str, path: Path, rounds: int) -> list[Round]:
    """One round more than is counted: the first one warms everything up."""
    await anyio.Path(path).write_text(code)
    program = Program(language="python", code=code)
    command = [python_engine("auto").path, str(path)]
    found: list[Round] = []
    for _ in range(rounds + 1):
        ours = await _ours(workers, program)
        found.append(Round(ours, await to_thread.run_sync(_plain, command, PLAIN_PER_ROUND)))
    return found[1:]


async def _ours(workers: list[ChildProcess], program: Program, count: int = PER_ROUND) -> Block:
    latencies_ms: list[float] = []

    async def serve_one(worker: ChildProcess) -> None:
        for _ in range(count // len(workers)):
            asked = time.perf_counter()
            _check(await _ask(worker, program))
            latencies_ms.append((time.perf_counter() - asked) * 1e3)

    began, cpu_s = time.perf_counter(), _cpu_s([worker.pid for worker in workers])
    async with anyio.create_task_group() as tasks:
        for worker in workers:
            tasks.start_soon(serve_one, worker)
    took_s = time.perf_counter() - began
    cpu_s = _cpu_s([worker.pid for worker in workers]) - cpu_s
    done = len(latencies_ms)
    return Block(done / took_s, cpu_s / done * 1e3, latencies_ms)


def _plain(command: list[str], count: int) -> Block:
    """Bare subprocesses, as many at a time as there are cores."""
    latencies_ms: list[float] = []

    def start_one(_: int) -> None:
        asked = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, timeout=ANSWER_S)
        latencies_ms.append((time.perf_counter() - asked) * 1e3)

    began, cpu_s = time.perf_counter(), _cpu_s([])
    with ThreadPoolExecutor(CORES) as threads:
        list(threads.map(start_one, range(count)))
    took_s = time.perf_counter() - began
    return Block(count / took_s, (_cpu_s([]) - cpu_s) / count * 1e3, latencies_ms)


def _check(result: RunResult) -> None:
    if result.status is not Status.SUCCESS or result.stdout != b"hello\n":
        raise SandboxError(
            f"the bench's own program ended with {result.status.value}: {result.stderr[:300]!r}"
        )


def _cpu_s(pids: list[int]) -> float:
    """CPU of this process, of its dead children, and of these living ones with all below them."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) + sum(map(_tree_cpu_s, pids))


def _tree_cpu_s(pid: int) -> float:
    """Of a living process, its dead children, and its living descendants; 0 when it is gone."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[11:15]
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, ticks)) * _TICK_S + sum(map(_tree_cpu_s, children))


def _trivial(rounds: list[Round]) -> list[Measure]:
    ours = [ms for each in rounds for ms in each.ours.latencies_ms]
    plain = [ms for each in rounds for ms in each.plain.latencies_ms]
    rate = faster(
        "python_trivial_rate",
        median(each.ours.rate for each in rounds),
        median(each.plain.rate for each in rounds),
        unit="1/s",
        bar=7.0,
        ratio=median(each.ours.rate / each.plain.rate for each in rounds),
    )
    return [
        rate,
        _cpu("python_trivial_cpu", rounds),
        below("latency_p50_ms", median(ours), median(plain), unit="ms", bar=3.0),
        below("latency_p99_ms", _p99(ours), _p99(plain), unit="ms", bar=12.0),
    ]


def _cpu(name: str, rounds: list[Round]) -> Measure:
    return cheaper(
        name,
        median(each.ours.cpu_ms for each in rounds),
        median(each.plain.cpu_ms for each in rounds),
        unit="ms",
        bar=8.0,
        ratio=median(each.plain.cpu_ms / each.ours.cpu_ms for each in rounds),
    )


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


async def _node(worker: ChildProcess, path: Path, node: str) -> Measure:
    """One after the other, with time for the next process to boot."""
    await anyio.Path(path).write_text(NODE)
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(NODES + 1):
        asked = time.perf_counter()
        _check(await _ask(worker, Program(language="javascript", code=NODE)))
        ours.append((time.perf_counter() - asked) * 1e3)
        await anyio.sleep(SETTLE_S)
        plain += (await to_thread.run_sync(_plain, [node, str(path)], 1)).latencies_ms
    return share("node_latency", median(ours[1:]), median(plain[1:]), unit="ms", bar=0.3)


async def _quickjs(node: ChildProcess, quick: ChildProcess) -> Measure:
    """The same program in the two lanes for JavaScript, behind the same walls."""
    program = Program(language="javascript", code=NODE)
    found = [
        Round(await _ours([quick], program), await _ours([node], program, NODES))
        for _ in range(QUICK_ROUNDS + 1)
    ]
    return _cpu("quickjs_cpu", found[1:])
