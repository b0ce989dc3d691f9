"""Many programs, honest and hostile, through one pool: whatever it holds must not grow, and no slot may be lost.

    loop   waits for              unblocked by
    -----  ---------------------  ---------------------------
    _feed  the result of its run  the pool, which has deadlines

A round is 10,000 programs; the first is where growth is counted from.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.evaluation.benches.measures import Bench, Measure, grown
from altlas_agent.sandbox.pool import Pool
from altlas_agent.settings.run import Settings

CORES = len(os.sched_getaffinity(0))
PER_ROUND = 10_000
SHORT = Limits(cpu_s=0.5, wall_s=0.15, memory_mb=64)
USUAL = Limits(cpu_s=2.0, wall_s=3.0, memory_mb=64)


@dataclass(frozen=True)
class Kind:
    """A program, how often it comes, and how it may end."""

    code: str
    weight: int
    ends: tuple[Status, ...]
    limits: Limits = USUAL


KINDS = (
    Kind("print(6 * 7)", 400, (Status.SUCCESS,)),
    Kind("import json, re\nprint(json.dumps(re.findall('a', 'banana')))", 200, (Status.SUCCESS,)),
    Kind("open('/tmp/x', 'w').write('y' * 9999)\nprint(open('/tmp/x').read())", 100, (Status.SUCCESS,)),
    Kind("import os\nif os.fork():\n    os.wait()\nprint(1)", 50, (Status.SUCCESS,)),
    Kind("import threading as t\nt.Thread(target=print, args=(1,)).start()", 50, (Status.SUCCESS,)),
    Kind("[1][2]", 50, (Status.ERROR,)),
    Kind("def f(:", 20, (Status.COMPILE_ERROR,)),
    Kind("import os\nos.abort()", 20, (Status.SIGNAL,)),
    Kind("import os\nos.kill(-1, 9)", 20, (Status.ERROR,)),
    Kind("import os\nif not os.fork():\n    os.setsid()\n    while True: pass", 20, (Status.SUCCESS,)),
    Kind("while True: print('x' * 9999)", 20, (Status.OUTPUT_LIMIT,)),
    Kind("x = bytearray(10 ** 11)", 20, (Status.ERROR, Status.MEMORY_LIMIT)),
    Kind("x = [bytearray(b'1' * 10 ** 6) for _ in range(200)]", 5, (Status.ERROR, Status.MEMORY_LIMIT)),
    Kind(
        "import os\nfor fd in range(99):\n    try: os.close(fd)\n    except OSError: pass",
        20,
        (Status.SUCCESS,),
    ),
    Kind(
        "for i in range(10 ** 6): open(f'/tmp/{i}', 'wb').write(bytes(9 ** 6))",
        5,
        (Status.ERROR, Status.MEMORY_LIMIT),
    ),
    Kind("import os\nwhile True: os.fork()", 2, (Status.ERROR, Status.TIMEOUT, Status.CPU_LIMIT), SHORT),
    Kind("while True: pass", 5, (Status.TIMEOUT,), SHORT),
    Kind("import os\nos.kill(os.getpid(), 19)", 3, (Status.TIMEOUT,), SHORT),
)
"""Most of them honest, as in a run; every kind of end is among them."""


@dataclass(frozen=True)
class Held:
    """What the pool's processes hold at a moment, and what of ours lies about on the machine."""

    memory_mb: float
    files: int
    processes: int
    zombies: int
    groups: int
    temporary: int


@dataclass
class Counts:
    """What came out so far."""

    wrong: int = 0
    internal: int = 0


def bench(*, rounds: int, per_round: int = PER_ROUND) -> Bench:
    """At least two rounds. Raises NoJailError or SandboxError when programs cannot be run."""
    return anyio.run(_bench, max(2, rounds), per_round)


async def _bench(rounds: int, per_round: int) -> Bench:
    changed = Settings().model_dump() | {"sandbox": {"result_cache": 0}}
    set_up = SetUpWorker(settings=Settings.model_validate(changed).model_dump_json(), languages=("python",))
    async with Pool.start(set_up, module="altlas_agent.rewards.service", workers=CORES) as pool:
        await pool.ready()
        before, counts, held = pool.pids, Counts(), list[Held]()
        began = time.perf_counter()
        for number in range(rounds):
            await _round(pool, random.Random(number), per_round, counts)
            held.append(_held(before))
        rate = per_round * rounds / (time.perf_counter() - began)
        lost = pool.statistics().workers_lost + (pool.pids != before)
    return Bench(bench="soak", measures=tuple(_measures(held, counts, lost=lost, rate=rate)))


async def _round(pool: Pool, chance: random.Random, count: int, counts: Counts) -> None:
    """As many in flight as there are cores."""
    async with anyio.create_task_group() as tasks:
        for _ in range(CORES):
            kinds = chance.choices(KINDS, [kind.weight for kind in KINDS], k=count // CORES)
            tasks.start_soon(_feed, pool, kinds, counts)


async def _feed(pool: Pool, kinds: list[Kind], counts: Counts) -> None:
    for kind in kinds:
        result = await pool.run(Program(language="python", code=kind.code), kind.limits)
        counts.internal += result.status is Status.INTERNAL
        counts.wrong += result.status not in kind.ends


def _held(workers: tuple[int, ...]) -> Held:
    pids = [pid for worker in workers for pid in (worker, *_descendants(worker))]
    return Held(
        memory_mb=sum(map(_memory_mb, pids)),
        files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in workers),
        processes=len(pids),
        zombies=sum(map(_is_zombie, pids)),
        groups=sum(len(list(Path("/sys/fs/cgroup").rglob(f"altlas-{pid}-*"))) for pid in workers),
        temporary=sum(name.startswith("altlas") for at in ("/tmp", "/dev/shm") for name in os.listdir(at)),
    )


def _descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return children + [below for child in children for below in _descendants(child)]


def _memory_mb(pid: int) -> float:
    """Not shared with anybody else: pages of a fork-server and of a child are counted once."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def _is_zombie(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] == b"Z"
    return False


def _measures(held: list[Held], counts: Counts, *, lost: int, rate: float) -> list[Measure]:
    first, last = held[0], held[-1]
    return [
        Measure(name="rate", value=rate, unit="1/s", baseline=None, ratio=None, bar=0.0, holds=True),
        grown("memory", last.memory_mb, first.memory_mb, unit="MB", bar=10.0),
        grown("open_files", last.files, first.files, unit="", bar=0.0),
        grown("processes", last.processes, first.processes, unit="", bar=0.0),
        grown("zombies", last.zombies, 0.0, unit="", bar=0.0),
        grown("control_groups", last.groups, first.groups, unit="", bar=0.0),
        grown("temporary_files", last.temporary, first.temporary, unit="", bar=0.0),
        grown("workers_lost", lost, 0.0, unit="", bar=0.0),
        grown("sandbox_failures", counts.internal, 0.0, unit="", bar=0.0),
        grown("wrong_ends", counts.wrong, 0.0, unit="", bar=0.0),
    ]
