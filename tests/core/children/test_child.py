"""A child process answers, is late, misbehaves, dies: every promise of core/children/child.py, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import wait_all_tasks_blocked

import altlas_agent
from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.children.frames import OPENING
from altlas_agent.core.errors import ActorDied, DeadlineExceeded, Exit, NoJailError, PolicyError, ProcessError
from altlas_agent.core.records import Record
from tests.core.children.talker import (
    Bear,
    Die,
    Echo,
    Inflate,
    Interrupt,
    Nap,
    Pids,
    Refuse,
    Shout,
    Stumble,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

ROOT = Path(altlas_agent.__file__).parents[1]
TALKER = Path(__file__).with_name("talker.py")
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
CAP = 100_000
SOON_S = 2.0


class Unheard(Record):
    """A request that the talker does not know."""


def talker(log_path: Path | None = None, grace_s: float = 2.0) -> AbstractAsyncContextManager[ChildProcess]:
    return ChildProcess.start(
        name="talker",
        argv=[sys.executable, str(TALKER), str(CAP)],
        env=ENV,
        log_path=log_path,
        grace_s=grace_s,
        max_frame_bytes=CAP,
    )


def script(code: str) -> AbstractAsyncContextManager[ChildProcess]:
    return ChildProcess.start(name="script", argv=[sys.executable, "-S", "-c", code], max_frame_bytes=CAP)


async def ask_echo(child: ChildProcess, text: str = "") -> str:
    return (await child.ask(Echo(text=text), Echo, timeout_s=10)).text


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - nobody announces the end of a grandchild
            await anyio.sleep(0.01)


async def took_s(work: Callable[[], Awaitable[object]]) -> float:
    start = time.monotonic()
    await work()
    return time.monotonic() - start


async def test_a_request_is_answered() -> None:
    async with talker() as child:
        reply = await child.ask(Echo(text="h\u00e9llo", blob=b"\x00\xff"), Echo, timeout_s=10)
        assert reply == Echo(text="h\u00e9llo", blob=b"\x00\xff")


async def test_several_asks_may_be_under_way_and_each_gets_its_own_answer() -> None:
    answers: dict[str, str] = {}

    async def one(text: str) -> None:
        answers[text] = await ask_echo(child, text)

    async with talker() as child, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, str(number))
    assert answers == {str(number): str(number) for number in range(20)}


async def test_what_the_child_prints_does_not_reach_the_frames(tmp_path: Path) -> None:
    log_path = tmp_path / "log" / "talker.log"
    async with talker(log_path) as child:
        reply = await child.ask(Shout(text="LOUD"), Echo, timeout_s=10)
        assert reply.text == "read 0"
        assert await ask_echo(child, "and on") == "and on"
    assert log_path.read_text().count("LOUD") == 3
    assert "printed before it serves" in log_path.read_text()


async def test_a_late_answer_is_dropped_and_the_child_goes_on() -> None:
    async with talker() as child:
        with pytest.raises(DeadlineExceeded, match=r"talker did not answer Nap within 0\.1 s"):
            await child.ask(Nap(seconds=0.2), Echo, timeout_s=0.1)
        assert await ask_echo(child, "next") == "next"
        assert child.statistics().late == 1
        assert child.statistics().outstanding == 0


async def test_a_request_given_up_before_it_was_sent_is_never_carried_out(tmp_path: Path) -> None:
    async def fill_the_pipe(request: Record) -> None:
        await child.ask(request, Echo, timeout_s=10)

    async with talker() as child:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill_the_pipe, Nap(seconds=0.3))
            await wait_all_tasks_blocked()
            for _ in range(2):
                tasks.start_soon(fill_the_pipe, Echo(blob=bytes(90_000)))
            await wait_all_tasks_blocked()
            with pytest.raises(DeadlineExceeded):
                await child.ask(Write(path=str(tmp_path / "done")), Echo, timeout_s=0.05)
        await ask_echo(child)
        assert child.statistics().late == 0
    assert not (tmp_path / "done").exists()


async def test_an_error_of_a_handler_is_raised_as_it_is_and_the_child_goes_on() -> None:
    async with talker() as child:
        with pytest.raises(PolicyError, match=r"^no such checkpoint$"):
            await child.ask(Refuse(message="no such checkpoint"), Echo, timeout_s=10)
        with pytest.raises(NoJailError) as caught:
            await child.ask(Refuse(message="no jail", kind="NoJailError"), Echo, timeout_s=10)
        assert caught.value.exit_code is Exit.SERVICE_MISSING
        assert await ask_echo(child, "on") == "on"


async def test_the_death_of_a_child_of_the_child_is_not_its_own() -> None:
    async with talker() as child:
        with pytest.raises(ProcessError, match=r"^a helper died$") as caught:
            await child.ask(Refuse(message="a helper died", kind="ActorDied"), Echo, timeout_s=10)
        assert type(caught.value) is ProcessError


async def test_a_bug_in_a_handler_is_told_and_ends_the_child(tmp_path: Path) -> None:
    log_path = tmp_path / "talker.log"
    async with talker(log_path) as child:
        with pytest.raises(ProcessError, match="KeyError: 'oops'"):
            await child.ask(Stumble(message="oops"), Echo, timeout_s=10)
        with pytest.raises(ActorDied, match="exit code 1"):
            await ask_echo(child)
    assert "Traceback" in log_path.read_text()


async def test_an_unknown_request_is_an_error_that_names_the_known_ones() -> None:
    async with talker() as child:
        with pytest.raises(
            ProcessError, match="Unheard is no request for this process; it answers Bear, Die, Echo"
        ):
            await child.ask(Unheard(), Echo, timeout_s=10)


async def test_an_answer_of_another_type_is_an_error() -> None:
    async with talker() as child:
        with pytest.raises(ProcessError, match="talker answered with no Pids"):
            await child.ask(Echo(), Pids, timeout_s=10)


async def test_a_death_fails_every_outstanding_ask_at_once_and_later_ones_too() -> None:
    failures: list[str] = []
    killed_at = 0.0

    async def one(request: Record) -> None:
        with pytest.raises(ActorDied) as caught:
            await child.ask(request, Echo, timeout_s=60)
        assert time.monotonic() - killed_at < SOON_S
        failures.append(caught.value.message)

    async with talker() as child:
        await ask_echo(child)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, Nap(seconds=60))
            await eventually(lambda: child.statistics().outstanding == 1)
            tasks.start_soon(one, Echo())
            await eventually(lambda: child.statistics().outstanding == 2)
            killed_at = time.monotonic()
            os.kill(child.pid, signal.SIGKILL)
        assert not child.is_alive
        with pytest.raises(ActorDied):
            await ask_echo(child)
    assert [failure.partition(";")[0] for failure in failures] == ["talker died: killed by SIGKILL"] * 2


async def test_a_death_is_told_with_its_exit_code_and_its_last_words() -> None:
    async with talker() as child:
        with pytest.raises(ActorDied, match=r"exit code 7; its last words:\n(.*\n)*out of memory \\x1b\[31m"):
            await child.ask(Die(exit_code=7, last_words="out of memory \x1b[31m\n"), Echo, timeout_s=10)


async def test_a_process_that_holds_the_pipes_open_does_not_hide_the_death() -> None:
    async with talker() as child:
        (pid,) = (await child.ask(Bear(own_session=False, fork_only=True), Pids, timeout_s=10)).pids

        async def death() -> None:
            with pytest.raises(ActorDied, match="killed by SIGSEGV"):
                await child.ask(Die(signal=signal.SIGSEGV), Echo, timeout_s=60)

        assert await took_s(death) < SOON_S
        await eventually(lambda: not is_running(pid))


@pytest.mark.parametrize("own_session", [False, True])
async def test_kill_takes_grandchildren_along(own_session: bool) -> None:
    async with talker() as child:
        (pid,) = (await child.ask(Bear(own_session=own_session), Pids, timeout_s=10)).pids
        assert is_running(pid)
        child.kill()
        await eventually(lambda: not is_running(pid) and not child.is_alive)


async def test_leaving_the_block_lets_the_child_finish_and_end_by_itself() -> None:
    async with talker() as child:
        await ask_echo(child)
    with pytest.raises(ActorDied, match="exit code 0"):
        await ask_echo(child)
    assert not is_running(child.pid)


async def test_a_child_that_does_not_end_is_killed_after_the_grace() -> None:
    async def life() -> None:
        async with talker(grace_s=0.2) as child:
            await ask_echo(child)
            with pytest.raises(DeadlineExceeded):
                await child.ask(Nap(seconds=60), Echo, timeout_s=0.05)

    assert await took_s(life) < SOON_S


async def test_cancellation_ends_the_child_as_well() -> None:
    async with anyio.create_task_group() as tasks, talker(grace_s=0.2) as child:
        await ask_echo(child)
        tasks.cancel_scope.cancel()
        await child.ask(Nap(seconds=60), Echo, timeout_s=60)
    assert not is_running(child.pid)


async def test_what_the_block_raises_comes_out_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        async with script("input()"):
            raise ZeroDivisionError


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProcessError, match="starting ghost"):
        async with ChildProcess.start(name="ghost", argv=["/nowhere/ghost"]):
            pass


async def test_a_request_over_the_cap_is_refused_before_it_is_sent() -> None:
    async with talker() as child:
        with pytest.raises(ProcessError, match=r"Echo for talker takes \d+ bytes; 100000 are allowed"):
            await child.ask(Echo(blob=bytes(CAP)), Echo, timeout_s=10)
        assert await ask_echo(child, "on") == "on"


async def test_an_answer_over_the_cap_is_an_error_and_the_child_goes_on() -> None:
    async with talker() as child:
        with pytest.raises(ProcessError, match=r"the answer to Inflate takes \d+ bytes"):
            await child.ask(Inflate(num_bytes=CAP), Echo, timeout_s=10)
        assert await ask_echo(child, "on") == "on"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"\xff\xff\xff\xff", "it takes 4294967295 bytes"),
        (b"\x00\x00\x00\x04junk", "unreadable frame"),
        (b"\x00\x00\x00\x00", "unreadable frame"),
        (b"\x00\x00\x00\x06\x93\x09\xa2ok\x80", "request 9, which was never asked"),
        (b"hello world, this is no frame", "it takes 1751477356 bytes"),
    ],
)
async def test_garbage_from_the_child_kills_it(output: bytes, reason: str) -> None:
    code = f"import os, time; os.read(0, 1); os.write(1, {OPENING + output!r}); time.sleep(60)"
    async with script(code) as child:
        with pytest.raises(ActorDied, match=reason):
            await child.ask(Echo(), Echo, timeout_s=20)
    assert not is_running(child.pid)


async def test_a_child_that_closes_its_stdout_is_killed() -> None:
    async with script("import os, time; os.close(1); time.sleep(60)") as child:
        with pytest.raises(ActorDied, match="closed its side of the conversation"):
            await child.ask(Echo(), Echo, timeout_s=20)


async def test_a_child_that_does_not_read_cannot_hold_up_the_deadline() -> None:
    async with script("import time; time.sleep(60)") as child:
        with pytest.raises(DeadlineExceeded):
            await child.ask(Echo(blob=bytes(CAP - 100)), Echo, timeout_s=0.1)
        child.kill()


async def test_ctrl_c_does_not_reach_the_child() -> None:
    async with talker() as child:
        assert (await child.ask(Interrupt(), Echo, timeout_s=10)).text == "still here"


PARENT = """
import sys, anyio
sys.path[:0] = {paths!r}
from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.records import Record
from tests.core.children.talker import Echo, Nap

async def main():
    async with ChildProcess.start(name="talker", argv=[sys.executable, {talker!r}, "1000"], env={{"PYTHONPATH": {root!r}}}) as child:
        await child.ask(Echo(), Echo, timeout_s=10)
        print(child.pid, flush=True)
        await child.ask(Nap(seconds={nap_s}), Echo, timeout_s=60)

anyio.run(main, backend={backend!r})
"""


@pytest.mark.parametrize(("backend", "nap_s"), [("asyncio", 60), ("trio", 0.5)])
def test_the_child_dies_with_its_parent(backend: str, nap_s: float) -> None:
    # On trio, where the kernel cannot tell it, the child notices after the request at hand.
    code = PARENT.format(
        root=str(ROOT),
        paths=[str(ROOT), str(TALKER.parents[2])],
        talker=str(TALKER),
        nap_s=nap_s,
        backend=backend,
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.01)
