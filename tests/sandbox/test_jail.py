"""Rule 0 and the choice of interpreters."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from altlas_agent.core.errors import NoJailError, SandboxError, ServiceMissingError
from altlas_agent.core.records import Limits, Program
from altlas_agent.sandbox import jail
from altlas_agent.sandbox.cold import OneShot
from altlas_agent.sandbox.engines.interpreters import Engine, node_engine, python_engine
from altlas_agent.sandbox.jail import Jailed, Jailer, Launch, memory_file, unprivileged
from altlas_agent.sandbox.runner import Conditions
from altlas_agent.sandbox.warm import ForkServer


def sleeper(log: int) -> Launch:
    return Launch(engine=Engine(path="/usr/bin/sleep"), command=("/usr/bin/sleep", "60"), stderr=log)


def test_bubblewrap_is_never_started_as_root() -> None:
    with memory_file("log", b"") as log, pytest.raises(SandboxError, match="root"):
        Jailer(uid=0).start(sleeper(log))


def test_without_a_jail_root_runs_nothing() -> None:
    if os.geteuid() != 0:
        assert Jailer(uid=unprivileged(0), bare=True).layers() == ("rlimits", f"uid={os.geteuid()}")
        return
    with memory_file("log", b"") as log, pytest.raises(SandboxError, match="root"):
        Jailer(uid=unprivileged(0), bare=True).start(sleeper(log))


def test_the_uid_of_a_jail_is_ours_or_a_dedicated_one() -> None:
    assert unprivileged(0) == (os.geteuid() or jail.DEDICATED_UID)
    assert unprivileged(12345) == (os.geteuid() or 12345)


def test_ending_a_jail_ends_and_reaps_all_of_it() -> None:
    with memory_file("log", b"") as log:
        jailed = Jailer(uid=unprivileged(0)).start(sleeper(log))
        assert Path(f"/proc/{jailed.inside}").exists()
        jailed.end()
        assert not Path(f"/proc/{jailed.inside}").exists()
        assert jailed.exit_code != 0


class Slow:
    """A jail that is not yet cut off from the machine when its program is let go, and never gets further."""

    is_direct = False

    def start(self, launch: Launch) -> Jailed:
        process = subprocess.Popen(launch.command, stderr=launch.stderr, start_new_session=True)
        return Jailed(process, process.pid)


def test_a_jail_in_the_making_is_not_judged_by_the_files_of_this_machine() -> None:
    words = ("/usr/bin/sleep", "0.3")
    run = OneShot(
        Slow(),
        Conditions(rung="slow", layers=(), engine="sleep"),
        lambda files: Launch(engine=Engine(path=words[0]), command=words, stderr=files.stderr),
    )
    result = run.run(Program(language="python", code=""), Limits(), b"")
    assert result.stderr == b"sandbox: the process ended with 0 before it started"


def test_a_jail_that_cannot_be_built_says_why() -> None:
    with pytest.raises(SandboxError, match="/no/such/folder"):
        ForkServer(Jailer(uid=unprivileged(0)), Engine(path="/x", folders=("/no/such/folder",)))


def test_missing_bubblewrap_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(NoJailError, match="apt-get install bubblewrap"):
        jail.find_bubblewrap()


def test_missing_node_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceMissingError, match="apt-get install nodejs"):
        node_engine("auto")


def test_a_shim_is_not_an_interpreter(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\nexec python3\n")
    with pytest.raises(ServiceMissingError, match="script"):
        python_engine(str(shim))
    with pytest.raises(ServiceMissingError, match="there is no"):
        python_engine(str(tmp_path / "missing"))


def test_an_interpreter_outside_usr_brings_its_folder(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    binary = tmp_path / "bin" / "python3.11"
    binary.write_bytes(b"\x7fELF")
    assert python_engine(str(binary)).folders == (str(tmp_path),)
