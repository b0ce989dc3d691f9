"""The compiled helper: made once, never rewritten in place, and never needed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.walls.helper import LAYER, helper
from altlas_agent.sandbox.warm import ForkServer
from tests.sandbox.conftest import Run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "altlas"


@pytest.fixture
def compiler() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")


@pytest.mark.usefixtures("compiler")
def test_it_is_compiled_once(cache: Path) -> None:
    first = helper()
    [made] = cache.iterdir()
    stamp = made.stat().st_mtime_ns
    assert (helper(), made.stat().st_mtime_ns) == (first, stamp)
    assert first.startswith(b"\x7fELF")


@pytest.mark.usefixtures("compiler")
def test_a_file_that_others_may_write_is_not_trusted(cache: Path) -> None:
    helper()
    [made] = cache.iterdir()
    made.write_bytes(b"forged")
    made.chmod(0o666)
    inode = made.stat().st_ino
    assert helper().startswith(b"\x7fELF")
    assert made.stat().st_ino != inode


def test_without_a_compiler_python_starts_the_programs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **more: None if name == "cc" else which(name, **more))
    assert layers() == (b"1\n", False)
    assert not cache.exists()


def test_a_compiler_that_fails_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    broken = cache.parent / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(
        "shutil.which", lambda name, **more: str(broken) if name == "cc" else which(name, **more)
    )
    assert layers() == (b"1\n", False)
    assert os.listdir(cache) == []


@pytest.mark.usefixtures("compiler", "cache")
def test_a_result_names_the_helper() -> None:
    assert layers() == (b"1\n", True)


def layers() -> tuple[bytes, bool]:
    server = ForkServer(Jailer(uid=unprivileged(0)), python_engine("auto"))
    result = Run(server)("print(1)")
    server.close()
    return result.stdout, LAYER in result.layers
