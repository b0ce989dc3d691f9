"""The doctor says what works here, what does not, and what to do about it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.cli.machine.doctor import PROBES
from altlas_agent.daemon.home import HomeLock
from altlas_agent.daemon.service.discovery import Announced, announce, born
from storage.database import SCHEMA, open_writer

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("python", "disk", "sqlite", "home", "database", "schema", "daemon", "terminal")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a database, for its owner only."""
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    open_writer(path / "altlas.db").close()
    return path


def _check(altlas: Altlas, name: str, **more: dict[str, str]) -> dict[str, str]:
    """What one probe says; the exit code must agree."""
    done = altlas("doctor", "--only", name, "--json", **more)
    answer = json.loads(done.stdout)
    check: dict[str, str]
    [check] = answer["checks"]
    has_failed = check["state"] == "fail"
    assert (done.returncode, answer["ok"]) == (int(has_failed), not has_failed)
    assert (check["name"], bool(check["detail"])) == (name, True)
    return check


def _state(altlas: Altlas, name: str) -> str:
    return _check(altlas, name)["state"]


def test_a_healthy_home_is_ok(altlas: Altlas, home: Path) -> None:
    words = [word for name in QUICK for word in ("--only", name)]
    done = altlas("doctor", *words)
    assert done.returncode == 0
    lines = [line.split()[:2] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [name for _, name in lines] == list(QUICK)
    assert [state for state, name in lines if name not in {"sqlite", "disk"}] == ["ok"] * 6


def test_an_empty_place_is_ok(altlas: Altlas) -> None:
    for name in ("home", "database", "schema", "daemon"):
        assert _state(altlas, name) == "ok"


def test_sqlite_is_named_with_its_known_bug(altlas: Altlas) -> None:
    check = _check(altlas, "sqlite")
    assert sqlite3.sqlite_version in check["detail"]
    assert (check["state"] == "warn") == ("WAL-reset bug" in check["remedy"])


def test_a_damaged_database_fails_with_what_to_do(altlas: Altlas, home: Path) -> None:
    with (home / "altlas.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    check = _check(altlas, "database")
    assert check["state"] == "fail"
    assert "altlas db recover" in check["remedy"] + check["detail"]


def test_what_is_no_database_fails(altlas: Altlas, home: Path) -> None:
    (home / "altlas.db").write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    assert _state(altlas, "database") == "fail"
    assert _state(altlas, "schema") == "fail"


@pytest.mark.parametrize(("number", "state"), [(SCHEMA, "ok"), (SCHEMA - 1, "warn"), (SCHEMA + 1, "fail")])
def test_the_schema_is_known_older_or_newer(altlas: Altlas, home: Path, number: int, state: str) -> None:
    with closing(sqlite3.connect(home / "altlas.db")) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
    assert _state(altlas, "schema") == state


@pytest.mark.parametrize(
    ("mode", "state"), [(0o700, "ok"), (0o755, "warn"), (0o777, "fail"), (0o770, "fail")]
)
def test_others_should_not_look_into_a_home(altlas: Altlas, home: Path, mode: int, state: str) -> None:
    home.chmod(mode)
    check = _check(altlas, "home")
    assert (check["state"], bool(check["remedy"])) == (state, state != "ok")


def test_who_holds_the_home_is_named(altlas: Altlas, home: Path) -> None:
    assert "nobody holds it" in _check(altlas, "home")["detail"]
    with HomeLock(home):
        assert f"held by process {os.getpid()}" in _check(altlas, "home")["detail"]
    assert "nobody holds it" in _check(altlas, "home")["detail"]


def test_a_daemon_that_does_not_answer_fails(altlas: Altlas, home: Path) -> None:
    with closing(_announced(home, pid=os.getpid())) as listening:
        listening.listen()
        check = _check(altlas, "daemon")  # it accepts, and says nothing
    assert check["state"] == "fail"
    assert "did not answer" in check["detail"]


def test_what_a_dead_daemon_left_is_no_daemon(altlas: Altlas, home: Path) -> None:
    _announced(home, pid=2**22 + 1).close()
    (home / "run" / "broken.json").write_text("{", encoding="utf-8")
    assert _check(altlas, "daemon")["detail"] == "none runs in this home"


def test_a_torch_that_cannot_be_imported_fails(altlas: Altlas, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch" / "__init__.py").write_text("raise OSError('libgomp is missing')\n", encoding="utf-8")
    path = f"{broken}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = altlas("doctor", "--only", "torch", "--json", environ={"PYTHONPATH": path + os.pathsep + _root()})
    [check] = json.loads(done.stdout)["checks"]
    assert (done.returncode, check["state"]) == (1, "fail")
    assert "libgomp is missing" in check["detail"]


def test_torch_is_asked_in_a_process_of_its_own(altlas: Altlas) -> None:
    check = _check(altlas, "torch")
    assert check["state"] in {"ok", "warn"}
    assert "threads" in check["detail"] or "not installed" in check["detail"]


def test_a_sandbox_that_cannot_be_asked_fails_with_its_own_words(altlas: Altlas) -> None:
    done = altlas("doctor", "--only", "sandbox", "--json", environ={"ALTLAS_SANDBOX__NONSENSE": "1"})
    [check] = json.loads(done.stdout)["checks"]
    assert (done.returncode, check["state"]) == (1, "fail")
    assert "unknown setting ALTLAS_SANDBOX__NONSENSE" in check["detail"]


def test_a_probe_that_is_none_is_wrong_use(altlas: Altlas) -> None:
    done = altlas("doctor", "--only", "weather")
    assert done.returncode == 2
    assert all(name in done.stderr for name in PROBES)


def _announced(home: Path, *, pid: int) -> socket.socket:
    """A socket that a daemon has announced."""
    listening = socket.socket(socket.AF_UNIX)
    (home / "run").mkdir(mode=0o700)
    listening.bind(str(home / "run" / "s"))
    announce(
        home,
        Announced(
            pid=pid,
            born=born(pid) or 1,
            started_ns=1,
            socket=str(home / "run" / "s"),
            database="",
            version="0",
            epoch="1",
        ),
    )
    return listening


def _root() -> str:
    from tests.cli.conftest import ROOT

    return str(ROOT)
