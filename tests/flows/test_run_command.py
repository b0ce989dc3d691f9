"""`altlas run start` as users meet it: its limits, its JSON, Ctrl+C, sudden deaths and refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flows.conftest import Ended, eight, finish, rows
from tests.sandbox.conftest import Tools, descendants, tools
from tests.tasks.examples import function_task, write

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Start = Callable[..., subprocess.Popen[str]]

__all__ = ["tools"]

pytestmark = pytest.mark.timeout(240)

ENDLESS = "--set=run.stop_when_solved=false"

_COUNT = "SELECT count(*) FROM attempts AS a JOIN labels AS l ON l.id = a.{} WHERE l.text = '{}'"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the commands of a test keep their runs."""
    return tmp_path / "home"


def run_row(home: Path, run_id: int = 1) -> tuple[object, ...]:
    return rows(home, f"SELECT status, reason, attempts FROM runs WHERE id = {run_id}")[0]


def numbers(home: Path, run_id: int = 1) -> list[object]:
    found = rows(home, f"SELECT number FROM attempts WHERE run_id = {run_id} ORDER BY number")
    return [number for (number,) in found]


def wait_for_attempts(home: Path) -> None:
    """Wait until a run has stored some attempts."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (
            (home / "altlas.db").is_file()
            and rows(home, "SELECT 1 FROM sqlite_master WHERE name = 'attempts'")
            and len(numbers(home)) > 20
        ):
            return
        time.sleep(0.05)
    pytest.fail("no attempts are stored")


def child_pids(parent: int, module: str) -> list[int]:
    """The processes below `parent` that run this module."""
    found: list[int] = []
    for pid in descendants(parent):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if module.encode() in words:
            found.append(pid)
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def assert_all_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 15
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "a process outlived its run"
        time.sleep(0.05)


def assert_one_message(ended: Ended, *, code: int) -> None:
    told = [line for line in ended.stderr.splitlines() if line.startswith("altlas: ")]
    assert len(told) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.code == code, ended.stderr


def test_a_run_ends_after_exactly_as_many_attempts_as_it_may_make_and_tells_so_in_json(
    run_start: Start, home: Path
) -> None:
    ended = finish(run_start("--max-attempts", "37", ENDLESS, "--json", "--seed", "3"))
    assert ended.code == 0, ended.stderr
    assert ended.stdout.count("\n") == 1
    told = ended.json()
    assert list(told) == [
        *("run", "suite", "seed", "reason", "tasks", "solved", "attempts"),
        *("wall_s", "attempts_per_s", "database", "per_task"),
    ]
    assert (told["run"], told["suite"], told["seed"]) == ("r1", "little", 3)
    assert (told["tasks"], told["attempts"]) == (3, 37)
    assert told["reason"] == "the limit of attempts is reached"
    assert told["database"] == str(home / "altlas.db")
    per_task = told["per_task"]
    assert isinstance(per_task, list)
    assert [list(task) for task in per_task if isinstance(task, dict)] == [
        ["task", "language", "solved", "first_solved_attempt", "attempts"]
    ] * 3
    stored = rows(
        home, "SELECT key, language, solved_attempt IS NOT NULL, solved_attempt, attempts FROM tasks"
    )
    assert [tuple(task.values()) for task in per_task if isinstance(task, dict)] == stored
    assert numbers(home) == list(range(1, 38))


def test_a_run_ends_when_its_time_is_up_and_is_told_of_in_plain_lines(run_start: Start, home: Path) -> None:
    began = time.monotonic()
    ended = finish(run_start("--max-time", "1.5", ENDLESS))
    assert ended.code == 0, ended.stderr
    assert time.monotonic() - began < 60
    status, reason, attempts = run_row(home)
    assert (status, reason) == ("ended", "the time is up")
    assert numbers(home) == list(range(1, len(numbers(home)) + 1))
    assert attempts == len(numbers(home))
    assert "run r1: little, seed 0, ended (the time is up)" in ended.stdout
    assert "altlas run show r1" in ended.stdout
    assert "training little: 3 tasks, seed 0\nprograms run in jails: python: " in ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\r" not in ended.stderr


def test_ctrl_c_ends_a_run_cleanly_and_a_second_run_meanwhile_is_refused(
    run_start: Start, home: Path
) -> None:
    first = run_start(ENDLESS)
    wait_for_attempts(home)
    second = finish(run_start())
    assert_one_message(second, code=75)
    assert f"process {first.pid} " in second.stderr
    family = descendants(first.pid)
    first.send_signal(signal.SIGINT)
    ended = finish(first)
    assert ended.code == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "stopping; everything so far is kept" in ended.stderr
    status, reason, attempts = run_row(home)
    assert (status, reason) == ("interrupted", "stopped by hand")
    assert attempts == len(numbers(home)) > 20
    ((path,),) = rows(home, "SELECT path FROM checkpoints ORDER BY version DESC LIMIT 1")
    assert Path(str(path)).is_file()
    assert len(rows(home, "SELECT id FROM runs")) == 1
    assert_all_end(family)


def test_ctrl_c_before_a_run_has_begun_leaves_none(run_start: Start, home: Path) -> None:
    process = run_start()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("training little: 3 tasks")
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert_one_message(ended, code=130)
    assert ended.stdout == ""
    assert not (home / "altlas.db").exists()


def test_a_student_that_dies_again_and_again_ends_the_run_with_one_message_and_keeps_what_is_stored(
    run_start: Start, home: Path
) -> None:
    process = run_start(ENDLESS, "--json")
    wait_for_attempts(home)
    family = descendants(process.pid)
    while process.poll() is None:  # it is replaced three times
        for student in child_pids(process.pid, "altlas_agent.learning.service"):
            with suppress(ProcessLookupError):
                os.kill(student, signal.SIGKILL)
        time.sleep(0.1)
    ended = finish(process)
    assert_one_message(ended, code=1)
    assert "altlas: student died: killed by SIGKILL" in ended.stderr
    assert json.loads(ended.stdout)["error"]["kind"] == "actor_died"
    deaths = "SELECT count(*) FROM events WHERE type = 'ActorDied'"
    assert rows(home, deaths) == [(4,)]
    status, reason, attempts = run_row(home)
    assert (status, reason) == ("crashed", "student died: killed by SIGKILL")
    assert numbers(home) == list(range(1, len(numbers(home)) + 1))
    assert attempts == len(numbers(home)) > 20
    assert_all_end(family)


def test_a_student_that_dies_while_the_run_is_being_stopped_ends_it_as_stopped(
    run_start: Start, home: Path
) -> None:
    process = run_start(ENDLESS)
    wait_for_attempts(home)
    (student,) = child_pids(process.pid, "altlas_agent.learning.service")
    os.kill(student, signal.SIGSTOP)  # it finishes nothing that the stop would wait for
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping" not in process.stderr.readline():
        pass
    os.kill(student, signal.SIGKILL)
    ended = finish(process)
    assert ended.code == 130, ended.stderr
    assert run_row(home)[:2] == ("interrupted", "stopped by hand")
    assert rows(home, "SELECT type FROM events ORDER BY seq DESC LIMIT 1") == [("RunEnded",)]


def test_a_killed_worker_is_replaced_and_the_run_goes_on(run_start: Start, home: Path) -> None:
    process = run_start(ENDLESS, "--max-attempts", "700")
    wait_for_attempts(home)
    os.kill(child_pids(process.pid, "altlas_agent.rewards.service")[0], signal.SIGKILL)
    ended = finish(process)
    assert ended.code == 0, ended.stderr
    assert "it is replaced" in ended.stderr
    assert numbers(home) == list(range(1, 701))
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'WorkerLost'") == [(1,)]
    assert rows(home, _COUNT.format("status_id", "internal")) == [(0,)]


def test_a_change_of_rung_is_an_event_of_the_run_and_shown(
    run_start: Start, home: Path, tools: Tools
) -> None:
    process = run_start(
        ENDLESS,
        "--max-attempts",
        "200",
        "--set=sandbox.allow_reduced=true",
        environ={"PATH": str(tools.folder)},
    )
    wait_for_attempts(home)
    tools.vanish()
    for worker in child_pids(process.pid, "altlas_agent.rewards.service"):
        tools.end_jails(worker)
    ended = finish(process)
    assert ended.code == 0, ended.stderr
    assert "python programs run on rung landlock instead of zygote" in ended.stderr
    (kinds,) = zip(
        *rows(home, "SELECT type FROM events WHERE type IN ('RungChanged', 'JailChosen')"), strict=True
    )
    assert kinds[:3] == ("JailChosen", "RungChanged", "JailChosen")
    ((rung, layers),) = rows(home, "SELECT jail_rung, jail_layers FROM runs")
    assert rung == "python: landlock"
    assert "reduced" in str(layers)
    assert rows(home, _COUNT.format("rung_id", "landlock")) != [(0,)]


def test_a_run_that_was_killed_leaves_no_process_and_is_marked_by_the_next(
    run_start: Start, home: Path
) -> None:
    process = run_start(ENDLESS)
    wait_for_attempts(home)
    family = descendants(process.pid)
    process.kill()
    finish(process)
    assert_all_end(family)
    before = len(numbers(home))
    ended = finish(run_start("--max-attempts", "1"))
    assert ended.code == 0, ended.stderr
    status, reason, attempts = run_row(home)
    assert (status, reason) == ("crashed", "its process ended without a word")
    assert attempts == before == len(numbers(home))
    assert numbers(home, 2) == [1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "no task suite 'nowhere'; there are: "),
        (["{suite}", "--set", "run.sed=1"], 78, "run.sed"),
        (["{suite}", "--set", "tasks.group_size=1"], 78, "tasks.group_size"),
        (["{suite}", "--profile", "huge"], 78, "huge"),
        (["{suite}", "--home", "{suite}/eight.json/home"], 70, "choose another home with --home"),
        (["{suite}", "--seed", "-1"], 2, "--seed"),
        (["{broken}"], 78, "broken.json: tests.hidden"),
        (["{scripts}", "--set", "sandbox.node=/nowhere/node"], 69, "sandbox.node"),
        (["{suite}", "--set", "sandbox.python=/nowhere/python"], 69, "sandbox.python"),
    ],
)
def test_what_cannot_run_is_refused_with_one_message_and_nothing_written(
    start: Start, suite: Path, tmp_path: Path, *, words: list[str], code: int, message: str
) -> None:
    broken = write(tmp_path / "broken", eight() | {"name": "broken", "tests": {"hidden": "8"}}).parent
    script = function_task(target_language="javascript", reference="const double = n => n * 2;")
    scripts = write(tmp_path / "scripts", script | {"cheats": []}).parent
    filled = [word.format(suite=suite, broken=broken, scripts=scripts) for word in words]
    ended = finish(start("run", "start", *filled))
    assert_one_message(ended, code=code)
    assert message in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.rglob("*.db")) == []
    assert not (tmp_path / "home" / "runs").exists()


def test_a_machine_without_bubblewrap_is_told_what_to_install(
    run_start: Start, tmp_path: Path, home: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "node").symlink_to(shutil.which("node") or "node")
    ended = finish(run_start("--json", environ={"PATH": str(tools)}))
    assert_one_message(ended, code=69)
    assert "apt-get install bubblewrap" in ended.stderr
    assert json.loads(ended.stdout)["error"]["kind"] == "no_jail"
    assert not (home / "altlas.db").exists()
    assert not (home / "runs").exists()
