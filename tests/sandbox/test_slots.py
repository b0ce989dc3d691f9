"""Slots: started once, replaced when lost, remembering what they have seen."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import NoJailError, ServiceMissingError
from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.sandbox.slots import Options, Slots, check_languages
from tests.sandbox.conftest import Tools, descendants, pid_of, zombies

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.requests import RungChange

HELLO = Program(language="python", code="print('hello')")
LIMITS = Limits()


def test_a_killed_slot_does_not_touch_the_next_program() -> None:
    with Slots(Options(result_cache=0)) as slots:
        slots.run(HELLO, LIMITS)
        first = slots.alive()
        os.kill(pid_of(first), 9)
        while slots.alive() == first:
            time.sleep(0.01)
        assert slots.run(HELLO, LIMITS).stdout == b"hello\n"
        assert slots.alive() not in ("", first)
        assert slots.restarts == 1


def test_a_slot_killed_while_it_runs_a_program_runs_it_again() -> None:
    with Slots(Options(result_cache=0)) as slots:
        slots.start("python")
        threading.Timer(0.4, os.kill, (pid_of(slots.alive()), 9)).start()
        result = slots.run(
            Program(language="python", code="import time\ntime.sleep(0.8)\nprint('done')"), LIMITS
        )
        assert (result.status, result.stdout) == (Status.SUCCESS, b"done\n")
        assert slots.restarts == 1


def test_a_slot_that_stops_answering_is_given_up() -> None:
    with Slots(Options(result_cache=0)) as slots:
        slots.start("python")
        server = descendants(pid_of(slots.alive()))[0]
        os.kill(server, 19)
        began = time.monotonic()
        assert slots.run(HELLO, Limits(wall_s=0.5)).stdout == b"hello\n"
        assert time.monotonic() - began < 8


def test_fifty_runs_leave_no_zombie_and_the_same_slot() -> None:
    dead = zombies()
    with Slots(Options(result_cache=0)) as slots:
        slots.start("python")
        slots.start("javascript")
        first = slots.alive()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            assert slots.run(HELLO, LIMITS).status is Status.SUCCESS
        for _ in range(4):
            slots.run(Program(language="javascript", code="1"), LIMITS)
        assert (slots.alive(), slots.restarts, zombies()) == (first, 0, dead)
        assert len(os.listdir("/proc/self/fd")) <= before + 2 * 10
    assert zombies() == dead


def test_closing_leaves_no_process() -> None:
    before = set(descendants(os.getpid()))
    with Slots(Options()) as slots:
        slots.start("python")
        slots.start("javascript")
        assert len(descendants(os.getpid())) > len(before)
    assert set(descendants(os.getpid())) <= before


def test_a_program_seen_before_is_not_run_again() -> None:
    with Slots(Options(result_cache=2)) as slots:
        first = slots.run(Program(language="python", code="import time\nprint(time.time_ns())"), LIMITS)
        again = slots.run(Program(language="python", code="import time\nprint(time.time_ns())"), LIMITS)
        assert again == first
        assert (slots.cache.hits, slots.cache.misses) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        Program(language="python", code="print('hello')", stdin="x"),
        Program(language="python", code="print('hello')", entry="f"),
        Program(language="python", code="print('hello') "),
    ],
)
def test_another_program_is_another_result(other: Program) -> None:
    with Slots(Options()) as slots:
        slots.run(HELLO, LIMITS)
        slots.run(other, LIMITS)
        assert slots.cache.hits == 0


def test_what_depends_on_the_clock_is_never_remembered() -> None:
    with Slots(Options()) as slots:
        for _ in range(2):
            result = slots.run(Program(language="python", code="while True: pass"), Limits(wall_s=0.2))
            assert result.status is Status.TIMEOUT
        assert slots.cache.hits == 0


@pytest.mark.parametrize("language", ["cobol", "", "Python"])
def test_an_unknown_language_is_refused_and_never_run_as_python(language: str) -> None:
    with Slots(Options()) as slots:
        result = slots.run(Program(language=language, code="print(1)"), LIMITS)
        assert (result.status, result.stdout) == (Status.REFUSED, b"")
        assert b"no sandbox runs" in result.stderr


def test_source_that_cannot_be_encoded_is_refused() -> None:
    with Slots(Options()) as slots:
        assert slots.run(Program(language="python", code="'\ud800'"), LIMITS).status is Status.REFUSED


def test_without_node_only_javascript_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = Options(node=str(tmp_path / "node"))
    with Slots(options) as slots:
        result = slots.run(Program(language="javascript", code="1"), LIMITS)
        assert result.status is Status.REFUSED
        assert b"sandbox.node" in result.stderr
        assert slots.run(HELLO, LIMITS).status is Status.SUCCESS
    with pytest.raises(ServiceMissingError):
        check_languages(["python", "javascript"], options)


def test_languages_that_run_pass_the_check() -> None:
    check_languages(["python", "javascript"])


def test_no_jail_is_an_error_that_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("altlas_agent.sandbox.walls.landlock.LOWEST_ABI", 99)
    with Slots(Options()) as slots, pytest.raises(NoJailError, match="apt-get install bubblewrap"):
        slots.run(HELLO, LIMITS)


def test_running_without_a_jail_needs_a_word_and_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("altlas_agent.sandbox.walls.landlock.LOWEST_ABI", 99)
    with Slots(Options(allow_unsafe=True)) as slots:
        if os.geteuid() == 0:
            with pytest.raises(NoJailError, match="root"):
                slots.start("python")
        else:
            assert slots.start("python") == "plain"
            result = slots.run(HELLO, LIMITS)
            assert (result.stdout, result.rung) == (b"hello\n", "plain")
            assert "net-ns" not in result.layers


def test_a_drop_to_a_weaker_rung_and_the_way_back_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[RungChange] = []
    with Slots(Options(result_cache=0, allow_reduced=True), told.append) as slots:
        top = slots.start("python")
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)  # bubblewrap and compiler vanish
        os.kill(pid_of(slots.alive()), 9)
        while slots.alive():
            time.sleep(0.01)
        reduced = slots.run(HELLO, LIMITS)
        assert (reduced.stdout, reduced.rung) == (b"hello\n", "landlock")
        monkeypatch.undo()
        monkeypatch.setattr("altlas_agent.sandbox.slots.time.monotonic", lambda: 10.0**9)
        assert slots.run(HELLO, LIMITS).rung == top
    assert [(change.before, change.after) for change in told] == [(top, "landlock"), ("landlock", top)]
    assert "bubblewrap" in told[0].why
    assert "landlock" in told[0].layers
    assert "net-ns" in told[1].layers


@pytest.mark.parametrize("how", ["vanish", "fail"])
def test_a_language_with_a_process_per_program_drops_too(tools: Tools, how: str) -> None:
    told: list[RungChange] = []
    program = Program(language="bash", code="echo hello")
    with Slots(Options(result_cache=0, allow_reduced=True), told.append) as slots:
        assert slots.run(program, LIMITS).rung == "bwrap-per-exec"
        getattr(tools, how)()
        for _ in range(2):
            dropped = slots.run(program, LIMITS)
            assert (dropped.stdout, dropped.rung) == (b"hello\n", "landlock")
    assert [(change.language, change.after) for change in told] == [("bash", "landlock")]


def test_slots_that_take_the_place_of_others_tell_what_changed_since(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[RungChange] = []
    options, rungs = Options(allow_reduced=True), {"bash": "bwrap-per-exec"}
    tools.vanish()
    with Slots(options, told.append, last=rungs, best=rungs) as slots:
        assert slots.start("bash") == "landlock"
        tools.come_back()
        monkeypatch.setattr("altlas_agent.sandbox.slots.time.monotonic", lambda: 10.0**9)
        assert slots.run(Program(language="bash", code="echo hello"), LIMITS).rung == "bwrap-per-exec"
    assert [change.after for change in told] == ["landlock", "bwrap-per-exec"]


def test_limits_above_the_ceiling_are_lowered() -> None:
    with Slots(Options(ceilings=Limits(wall_s=0.3, cpu_s=5))) as slots:
        result = slots.run(Program(language="python", code="import time\ntime.sleep(9)"), Limits(wall_s=100))
        assert result.status is Status.TIMEOUT
