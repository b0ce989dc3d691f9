"""A daemon is found while it lives, by its number and its birth; what dead ones left is swept."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.daemon.service.discovery import Announced, announce, born, find, folder_of

if TYPE_CHECKING:
    from pathlib import Path


def announced(pid: int | None = None, started_ns: int = 5) -> Announced:
    number = os.getpid() if pid is None else pid
    return Announced(
        pid=number,
        born=born(number),
        started_ns=started_ns,
        socket="/run/altlas.sock",
        database="/home/altlas.db",
        version="0.1.0",
        epoch="ab",
    )


def test_what_is_announced_is_found_and_private(tmp_path: Path) -> None:
    path = announce(tmp_path, announced())
    assert find(tmp_path) == announced()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(folder_of(tmp_path).iterdir()) == [path]


def test_in_an_empty_home_there_is_none(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert find(tmp_path / "nowhere") is None


def test_of_several_the_newest_is_found(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        announce(tmp_path, announced(other.pid, started_ns=9))
        announce(tmp_path, announced(started_ns=7))
        assert find(tmp_path) == announced(other.pid, started_ns=9)
        other.communicate(b"\n")
    assert find(tmp_path) == announced(started_ns=7)


def test_a_dead_one_is_swept_also_before_anybody_has_waited_for_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        path = announce(tmp_path, announced(child.pid))
        child.kill()
        while born(child.pid):
            pass  # it dies, and stays as a zombie: nobody has waited for it
        assert find(tmp_path) is None
        assert not path.exists()


def test_one_whose_number_another_process_has_now_is_swept(tmp_path: Path) -> None:
    announce(tmp_path, msgspec.structs.replace(announced(), born=1))
    assert find(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "null", '{"pid": "x"}', "[1]", "\x00\xff"])
def test_what_is_no_announcement_is_swept(tmp_path: Path, content: str) -> None:
    folder_of(tmp_path).mkdir()
    (folder_of(tmp_path) / "1.json").write_text(content)
    assert find(tmp_path) is None
    assert list(folder_of(tmp_path).iterdir()) == []
