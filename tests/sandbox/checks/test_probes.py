"""The probes hold against the jail, and see through a runner that is none."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.sandbox.checks.probes import probe
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.slots import Options, Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(90)

_KEPT_BYTES = 1 << 20


@pytest.mark.parametrize(("language", "probes"), [("python", 8), ("bash", 7), ("loda", 3), ("javascript", 8)])
async def test_the_jail_holds(language: str, probes: int) -> None:
    with Slots(Options(result_cache=0, javascript="quickjs")) as slots:

        async def run(program: Program, limits: Limits) -> RunResult:
            return slots.run(program, limits)

        found = await probe(language, run)
    assert [each.problem for each in found] == [""] * len(found)
    assert len(found) == probes


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How long the process sleeps that a probe leaves behind; it is ended afterwards, by its pid."""
    chosen = f"1{os.getpid():09}"
    monkeypatch.setattr("secrets.randbelow", lambda _: os.getpid())
    yield chosen
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == f"sleep\0{chosen}\0".encode():
                os.kill(int(path.parent.name), 9)


async def test_a_plain_process_is_seen_through(number: str) -> None:
    def bare(program: Program, limits: Limits) -> RunResult:
        with TemporaryFile() as out:
            # A file, for on a pipe one would wait for the process that a probe leaves behind.
            try:
                subprocess.run(
                    [python_engine("auto").path, "-c", program.code],
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=limits.wall_s,
                    preexec_fn=_become_nobody,
                    check=False,
                )
                status = Status.SUCCESS
            except subprocess.TimeoutExpired:
                status = Status.TIMEOUT
            return RunResult(status=status, stdout=os.pread(out.fileno(), _KEPT_BYTES, 0))

    async def run(program: Program, limits: Limits) -> RunResult:
        if "append" in program.code:
            return RunResult(status=Status.MEMORY_LIMIT)  # nobody limits this one's memory
        return await to_thread.run_sync(bare, program, limits)

    found = {each.probe: each.problem for each in await probe("python", run)}
    assert found["reads no file outside"] == "it read what lies outside the jail"
    assert found["writes no file outside"] == "it wrote a file outside the jail"
    assert found["has no network"] == "it reached a listener outside the jail"
    assert found["leaves no process"] == "a process that it started outlived it"
    assert "of output were kept" in found["cannot flood"]


def _become_nobody() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_KEPT_BYTES, _KEPT_BYTES))
    if os.geteuid() == 0:
        os.setuid(65534)
