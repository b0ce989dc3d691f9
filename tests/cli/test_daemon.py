"""`altlas daemon`: started, asked, read and ended as users do it, each command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit
from altlas_agent.daemon.service import discovery

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

    Altlas = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(surroundings: Mapping[str, str]) -> Iterator[Path]:
    """The home that the commands use; a daemon that a test leaves there is ended."""
    folder = Path(surroundings["ALTLAS_HOME"])
    yield folder
    if (found := discovery.find(folder)) is not None:
        os.kill(found.pid, signal.SIGKILL)


@pytest.mark.timeout(60)  # a dozen commands
def test_a_daemon_is_started_asked_and_ended(altlas: Altlas, home: Path) -> None:
    started = altlas("daemon", "start", "--json")
    assert (started.returncode, started.stderr) == (Exit.DONE, "")
    launch = json.loads(started.stdout)["launch"]
    found = discovery.find(home)
    assert found is not None
    assert (launch["pid"], launch["socket"]) == (found.pid, found.socket)
    assert os.getsid(found.pid) != os.getsid(0)  # it outlives the terminal

    shown = altlas("daemon", "status")
    assert shown.returncode == Exit.DONE
    assert f"process {found.pid}, AltLAS " in shown.stdout
    assert "live: yes  ready: yes" in shown.stdout
    assert "no run is live" in shown.stdout
    for probe in ("--live", "--ready", "--startup"):
        assert altlas("daemon", "status", probe).returncode == Exit.DONE
    told = json.loads(altlas("daemon", "status", "--json").stdout)
    assert (told["info"]["daemon"]["pid"], told["health"]["live"], told["runs"]) == (found.pid, True, [])

    again = altlas("daemon", "start", "--json")
    assert again.returncode == Exit.HOME_BUSY
    error = json.loads(again.stdout)["error"]
    assert error["kind"] == "home_busy"
    assert f"held by process {found.pid} on " in error["message"]

    ended = altlas("daemon", "stop", "--json")
    assert json.loads(ended.stdout) == {"target": "daemon", "applied": True, "pid": found.pid}
    assert discovery.find(home) is None
    logged = altlas("daemon", "log", "-n", "5").stdout
    assert f"process {found.pid} serves {home}" in logged
    assert "stopping; everything so far is kept" in logged
    assert all(json.loads(line)["line"] for line in altlas("daemon", "log", "--json").stdout.splitlines())
    modes = {
        stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [home, *home.glob("altlas*"), home / "log"]
    }
    assert modes == {0}


def test_without_a_daemon_a_question_has_no_answer_and_an_end_is_no_error(altlas: Altlas, home: Path) -> None:
    for probe in ([], ["--live"], ["--ready"], ["--startup"]):
        asked = altlas("daemon", "status", *probe)
        assert asked.returncode == Exit.SERVICE_MISSING
        assert f"no daemon serves the home {home}; start one: altlas daemon start" in asked.stderr
    ended = altlas("daemon", "stop")
    assert (ended.returncode, ended.stdout) == (Exit.DONE, f"no daemon serves {home}\n")
    assert "nothing was logged yet" in altlas("daemon", "log").stderr


def test_in_the_foreground_it_logs_to_the_terminal_and_a_signal_ends_it_well(
    start: Callable[..., subprocess.Popen[str]], home: Path
) -> None:
    with start("daemon", "start", "--foreground") as process:
        assert process.stderr is not None
        line = ""
        while " serves " not in line:
            line = process.stderr.readline()
            assert line, "it ended too early"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == Exit.DONE
    assert "stopping; everything so far is kept" in stderr
    assert discovery.find(home) is None


@pytest.mark.parametrize("home_is", ["a file", "refused by its settings"])
def test_a_daemon_that_cannot_start_says_why_to_who_started_it(
    altlas: Altlas, home: Path, home_is: str
) -> None:
    options: list[str] = []
    if home_is == "a file":
        home.write_text("")
    else:
        options = ["--set", "daemon.max_connections=1"]
    failed = altlas("daemon", "start", *options)
    expected = Exit.STORE_FAILED if home_is == "a file" else Exit.SETTINGS_REFUSED
    assert failed.returncode == expected
    assert ("cannot use the home" if home_is == "a file" else "max_connections") in failed.stderr


def test_a_daemon_that_is_killed_is_found_dead_and_replaced(altlas: Altlas, home: Path) -> None:
    first = json.loads(altlas("daemon", "start", "--json").stdout)["launch"]["pid"]
    os.kill(first, signal.SIGKILL)
    assert altlas("daemon", "status").returncode == Exit.SERVICE_MISSING
    second = json.loads(altlas("daemon", "start", "--json").stdout)["launch"]["pid"]
    assert second != first
    assert altlas("daemon", "status", "--live").returncode == Exit.DONE


def test_one_that_does_not_answer_hears_a_signal(altlas: Altlas, home: Path) -> None:
    pid = json.loads(altlas("daemon", "start", "--json").stdout)["launch"]["pid"]
    (home / "run" / "altlas.sock").unlink()
    assert altlas("daemon", "status").returncode == Exit.SERVICE_MISSING
    assert json.loads(altlas("daemon", "stop", "--json").stdout)["pid"] == pid


def test_the_unit_starts_this_installation_on_this_home(altlas: Altlas, tmp_path: Path) -> None:
    home = tmp_path / 'per%cent "quoted" $cash'
    unit = altlas("daemon", "unit", "--home", str(home)).stdout
    [command] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(
        f'"daemon" "start" "--foreground" "--home" "{tmp_path}/per%%cent \\"quoted\\" $$cash"'
    )
    for line in (
        "Type=notify",
        "WatchdogSec=30",
        "TimeoutStopSec=15",
        "KillMode=mixed",
        "WantedBy=default.target",
    ):
        assert line in unit.splitlines()


@pytest.mark.parametrize(
    "words", [("daemon", "status"), ("daemon", "stop"), ("daemon", "log"), ("daemon", "unit")]
)
def test_asking_a_daemon_needs_no_settings_no_schema_and_no_server(
    altlas: Altlas, words: tuple[str, ...], surroundings: Mapping[str, str]
) -> None:
    trace = altlas(*words, environ={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in trace.splitlines() if "|" in line}
    assert "altlas_agent" in loaded
    assert loaded & {"torch", "pydantic", "sqlmodel", "sqlalchemy", "starlette", "uvicorn", "anyio"} == set()
