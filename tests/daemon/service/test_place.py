"""The socket is private from its first moment, replaces what a dead daemon left, and may have a long path."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import StorageError
from altlas_agent.daemon.service.place import LONGEST_ADDRESS, SOCKET_NAME, address, listen, runtime_folder

if TYPE_CHECKING:
    from pathlib import Path


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client, address(path) as short:
        client.connect(short)


def test_the_runtime_folder_is_used_where_there_is_one_and_differs_by_home(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folders = {runtime_folder(tmp_path / name, environ) for name in ("one", "two")}
    assert {folder.parent for folder in folders} == {tmp_path / "altlas"}
    assert len(folders) == 2
    assert runtime_folder(tmp_path / "one", environ) == runtime_folder(tmp_path / "x" / ".." / "one", environ)


@pytest.mark.parametrize("shared", ["", "relative", "/not/there"])
def test_otherwise_the_home_has_one(tmp_path: Path, shared: str) -> None:
    assert runtime_folder(tmp_path, {"XDG_RUNTIME_DIR": shared}) == tmp_path / "run"
    assert runtime_folder(tmp_path, {}) == tmp_path / "run"


def test_folder_and_socket_are_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with listen(tmp_path / "run"):
            modes = [
                stat.S_IMODE(each.stat().st_mode)
                for each in (tmp_path / "run", tmp_path / "run" / SOCKET_NAME)
            ]
    finally:
        os.umask(before)
    assert modes == [0o700, 0o600]


def test_a_folder_of_ours_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with listen(tmp_path / "run"):
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_stale_socket_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    listen(tmp_path).close()
    with pytest.raises(ConnectionRefusedError):
        connect(tmp_path / SOCKET_NAME)
    with listen(tmp_path):
        connect(tmp_path / SOCKET_NAME)
    assert [path.name for path in tmp_path.iterdir()] == [SOCKET_NAME]


def test_a_path_longer_than_an_address_is_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    assert len(str(folder)) > LONGEST_ADDRESS
    before = len(os.listdir("/proc/self/fd"))
    with listen(folder):
        connect(folder / SOCKET_NAME)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_and_a_file_in_its_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="not a folder of ours"):
        listen(tmp_path / "link")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the folder"):
        listen(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 65534, 65534)
    with pytest.raises(StorageError, match="not a folder of ours"):
        listen(tmp_path / "run")
