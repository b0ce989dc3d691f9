"""A home is private, usable or refused, and written by one process at a time."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit, HomeBusyError, StorageError
from altlas_agent.daemon.home import LOCK_NAME, HomeLock, prepare_home, resolve_home

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

_HOLDER = """
import sys
from pathlib import Path
from altlas_agent.daemon.home import HomeLock
with HomeLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path` until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_flag_wins_over_the_environment(home: Path, tmp_path: Path) -> None:
    assert resolve_home(str(tmp_path / "flag")) == tmp_path / "flag"
    assert resolve_home(None) == home


def test_a_relative_home_is_taken_from_here(home: Path, tmp_path: Path) -> None:
    assert resolve_home("here") == tmp_path / "here"
    assert resolve_home("~/there") == Path.home() / "there"


def test_without_flag_and_environment_the_home_is_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALTLAS_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert resolve_home(None) == tmp_path / "altlas"


def test_a_new_home_is_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    prepare_home(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert list(home.iterdir()) == []


def test_an_existing_home_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "altlas.db").write_text("data")
    prepare_home(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["altlas.db"]


def test_a_home_that_cannot_be_made_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="Not a directory") as caught:
        prepare_home(tmp_path / "file" / "home")
    assert caught.value.exit_code is Exit.STORE_FAILED
    assert str(tmp_path / "file" / "home") in caught.value.message
    assert "--home" in caught.value.message


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot use the home"):
        prepare_home(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_home_that_is_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="cannot use the home"):
        prepare_home(tmp_path / "link")


def test_folders_made_on_the_way_to_a_refused_home_are_removed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        prepare_home(tmp_path / "one" / "two" / ("x" * 300))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        prepare_home(tmp_path)


def test_a_home_held_by_another_process_is_busy_and_the_holder_is_named(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(HomeBusyError) as caught:
        HomeLock(tmp_path).acquire()
    assert caught.value.exit_code is Exit.HOME_BUSY
    pattern = rf"held by process {holder.pid} on \S+ since \d{{4}}-\d\d-\d\dT[\d:]+\+00:00;"
    assert re.search(pattern, caught.value.message)
    assert str(tmp_path) in caught.value.message


def test_being_refused_leaves_the_holder_its_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    for _ in range(3):
        with pytest.raises(HomeBusyError, match=f"process {holder.pid} "):
            HomeLock(tmp_path).acquire()


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait(timeout=10)
    with HomeLock(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / LOCK_NAME).read_text()


def test_a_lock_that_is_given_back_is_free_while_a_child_is_only_being_started(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    # Without close_fds the child keeps a copy of the descriptor until it is well into exec.
    with subprocess.Popen([sys.executable, "-c", ""], close_fds=False):
        lock.release()
        with HomeLock(tmp_path):
            pass


def test_a_child_that_outlives_a_killed_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    start_a_child = "subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL).pid"
    code = _HOLDER.replace('"held"', start_a_child).replace("import sys", "import subprocess, sys")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait(timeout=10)
        try:
            with HomeLock(tmp_path):
                os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_lock_is_given_back_at_the_end_of_the_block_and_can_be_taken_again(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    for _ in range(2):
        with lock, pytest.raises(HomeBusyError):
            HomeLock(tmp_path).acquire()
    lock.release()
    assert (tmp_path / LOCK_NAME).read_text() == ""


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    with HomeLock(tmp_path):
        assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600


def test_a_home_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot lock the home"):
        HomeLock(tmp_path / "nowhere").acquire()
