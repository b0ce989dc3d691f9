"""The pool: nothing lost, nothing twice, whatever happens to its workers."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.errors import AltlasError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.sandbox import pool as pool_module
from altlas_agent.sandbox.pool import Pool
from altlas_agent.settings.run import Settings
from tests.sandbox.conftest import Tools, descendants, reap_orphans

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

LIMITS = Limits(cpu_s=3.0, wall_s=8.0)
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(autouse=True)
def _orphans() -> Iterator[None]:
    yield
    reap_orphans()


def kill_starting_workers() -> None:
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if b"rewards.service" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)


def python(code: str) -> Program:
    return Program(language="python", code=code)


@asynccontextmanager
async def pool_of(
    workers: int = 2,
    *,
    cache: int = 0,
    version: str = "1",
    pressure: Path = Path("/nowhere"),
    allow_reduced: bool = False,
) -> AsyncGenerator[Pool]:
    sandbox = {"result_cache": 0, "prewarmed_nodes": 0, "allow_reduced": allow_reduced}
    settings = Settings.model_validate({"sandbox": sandbox}).model_dump_json()
    async with Pool.start(
        SetUpWorker(settings=settings, languages=()),
        module="altlas_agent.rewards.service",
        workers=workers,
        cache=cache,
        version_of=lambda _: version,
        pressure=pressure,
    ) as pool:
        yield pool


async def test_many_programs_give_each_its_own_result() -> None:
    results: dict[int, RunResult] = {}
    async with pool_of() as pool:

        async def one(number: int) -> None:
            results[number] = await pool.run(python(f"print({number})"), LIMITS)

        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(one, number)
        seen = pool.statistics()
    assert {number: result.stdout for number, result in results.items()} == {
        number: f"{number}\n".encode() for number in range(60)
    }
    assert (seen.in_flight, seen.waiting, seen.runs, seen.workers_lost) == (0, 0, 60, 0)


async def test_a_worker_killed_from_outside_loses_nothing() -> None:
    results: list[RunResult] = []
    async with pool_of() as pool:
        await pool.ready()

        async def one(number: int) -> None:
            code = f"import time\ntime.sleep(0.1)\nprint({number})"
            results.append(await pool.run(python(code), LIMITS))

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(one, number)
            for _ in range(2):
                await anyio.sleep(0.2)
                os.kill(pool.pids[0], 9)
        assert pool.statistics().workers_lost == 2
    assert sorted(int(result.stdout) for result in results) == list(range(12))


async def test_a_worker_killed_while_it_starts_is_started_again() -> None:
    async with pool_of(1) as pool:
        await anyio.sleep(0.1)
        kill_starting_workers()
        assert (await pool.run(python("print(1)"), LIMITS)).stdout == b"1\n"
        assert pool.statistics().workers_lost == 1


async def test_a_worker_that_never_starts_is_given_up() -> None:
    set_up = SetUpWorker(settings="no settings", languages=())
    async with Pool.start(set_up, module="altlas_agent.rewards.service", workers=1) as pool:
        with pytest.raises(AltlasError):
            await pool.run(python("print(1)"), LIMITS)


async def test_a_cancelled_run_makes_room_soon() -> None:
    async with pool_of(1) as pool:
        await pool.ready()
        await pool.run(python("1"), LIMITS)
        with anyio.move_on_after(0.3):
            await pool.run(python("import time\ntime.sleep(60)"), Limits(cpu_s=3.0, wall_s=25.0))
        began = time.monotonic()
        assert (await pool.run(python("print('next')"), LIMITS)).stdout == b"next\n"
        assert time.monotonic() - began < 8
        assert pool.statistics().in_flight == 0


async def test_a_cancelled_run_does_not_harm_its_neighbours() -> None:
    results: list[bytes] = []
    async with pool_of(1) as pool:
        await pool.ready()

        async def short() -> None:
            results.append((await pool.run(python("print('short')"), LIMITS)).stdout)

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.5):
                tasks.start_soon(short)
                await pool.run(python("import time\ntime.sleep(60)"), Limits(cpu_s=3.0, wall_s=25.0))
            for _ in range(3):
                tasks.start_soon(short)
    assert results == [b"short\n"] * 4


async def test_a_program_is_remembered_with_its_limits() -> None:
    async with pool_of(1, cache=10) as pool:
        first = await pool.run(python("import time\nprint(time.time_ns())"), LIMITS)
        again = await pool.run(python("import time\nprint(time.time_ns())"), LIMITS)
        other = await pool.run(python("import time\nprint(time.time_ns())"), Limits(cpu_s=2.0))
        seen = pool.statistics()
    assert first == again != other
    assert (seen.runs, seen.cache_hits, round(3 * seen.hit_rate)) == (2, 1, 1)


async def test_another_version_of_a_language_is_another_program() -> None:
    versions = iter("1122")
    settings = Settings.model_validate({"sandbox": {"result_cache": 0}}).model_dump_json()
    async with Pool.start(
        SetUpWorker(settings=settings, languages=()),
        module="altlas_agent.rewards.service",
        workers=1,
        cache=10,
        version_of=lambda _: next(versions),
    ) as pool:
        for _ in range(4):
            await pool.run(python("print(1)"), LIMITS)
        assert (pool.statistics().cache_hits, pool.statistics().runs) == (2, 2)


UNRUNNABLE = {
    "surrogate": python("'\ud800'"),
    "nul": python("1\0"),
    "surrogate in the language": Program(language="\ud800", code=""),
    "unknown language": Program(language="cobol", code=""),
    "surrogate in the input": Program(language="python", code="", stdin="\udfff"),
    "too long": Program(language="python", code="x" * (257 * 1024)),
}


async def test_what_cannot_be_run_is_refused_and_the_next_one_runs() -> None:
    async with pool_of(1) as pool:
        for name, program in UNRUNNABLE.items():
            assert (await pool.run(program, LIMITS)).status is Status.REFUSED, name
            assert (await pool.run(python(f"print({name!r})"), LIMITS)).stdout.decode() == f"{name}\n"
        assert pool.statistics().workers_lost == 0


async def test_a_gigabyte_of_output_is_cut_and_the_next_one_runs() -> None:
    code = "import sys\nfor _ in range(1000): sys.stdout.write('x' * 1_000_000)"
    async with pool_of(1) as pool:
        result = await pool.run(python(code), LIMITS)
        assert (result.status, len(result.stdout)) == (Status.OUTPUT_LIMIT, 64 * 1024)
        assert result.stdout_bytes > 64 * 1024
        assert (await pool.run(python("print(1)"), LIMITS)).stdout == b"1\n"


async def test_pressure_on_the_processors_lowers_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ADAPT_S", 0.02)
    pressure = tmp_path / "cpu"
    pressure.write_text("some avg10=0.50 avg60=1.00 avg300=1.00 total=1\n", "ascii")
    async with pool_of(2, pressure=pressure) as pool:

        async def limit_is(wanted: int) -> None:
            for _ in range(500):
                if pool.statistics().limit == wanted:
                    return
                await anyio.sleep(0.01)
            pytest.fail(f"the limit stays at {pool.statistics().limit}")

        await limit_is(4)
        pressure.write_text("some avg10=95.00 avg60=1.00 avg300=1.00 total=1\n", "ascii")
        await limit_is(2)
        assert pool.statistics().pressure == 95.0


async def test_a_change_of_rung_is_a_warning_and_harmless_for_a_terminal(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    program = Program(language="bash", code="echo $((6 * 7))")
    async with pool_of(1, allow_reduced=True) as pool:
        assert (await pool.run(program, LIMITS)).rung == "bwrap-per-exec"
        tools.fail()
        result = await pool.run(program, LIMITS)
        assert (result.stdout, result.rung) == (b"42\n", "landlock")
        assert pool.statistics().infrastructure_failures == 0
    ((level, said),) = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert level == "WARNING"
    assert said.startswith(
        "worker-0: bash programs run on rung landlock instead of bwrap-per-exec: bwrap-per-exec: "
    )
    assert r"no \x1b[31mnamespaces" in said


async def test_an_end_of_the_pool_leaves_no_process() -> None:
    async with pool_of(2) as pool:
        await pool.ready()
        await pool.run(python("1"), LIMITS)
        pids = pool.pids
    assert len(pids) == 2
    assert not {str(pid) for pid in pids} & set(os.listdir("/proc"))
