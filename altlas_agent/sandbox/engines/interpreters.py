"""Finds the interpreters that run programs, and the folders that they need inside a jail."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from altlas_agent.core.errors import ServiceMissingError

_LOWEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An interpreter, and the folders outside /usr that it needs."""

    path: str
    folders: tuple[str, ...] = ()


def python_engine(setting: str) -> Engine:
    """The interpreter for Python programs: a path, or for "auto" the system's, else our own.

    Raises ServiceMissingError when there is none that can run programs.
    """
    if setting != "auto":
        return _engine(setting, "sandbox.python")
    system = os.path.realpath("/usr/bin/python3")
    version = re.fullmatch(r"python(\d+)\.(\d+)", Path(system).name)
    if version and tuple(map(int, version.groups())) >= _LOWEST_PYTHON:
        return _engine(system, "sandbox.python")
    return _engine(f"{sys.base_prefix}/bin/python3", "sandbox.python")


def node_engine(setting: str) -> Engine:
    """The node for JavaScript programs: a path, or for "auto" what lies on PATH."""
    path = shutil.which("node") if setting == "auto" else setting
    if path is None:
        raise ServiceMissingError(
            "no node on PATH, which runs JavaScript; install it: apt-get install nodejs"
        )
    return _engine(path, "sandbox.node")


def _engine(path: str, setting: str) -> Engine:
    real = Path(os.path.realpath(path))
    if not real.is_file():
        raise ServiceMissingError(f"there is no {path}; name an interpreter that exists in {setting}")
    with real.open("rb") as opened:
        if opened.read(2) == b"#!":
            raise ServiceMissingError(
                f"{path} is a script that starts another program; name that one in {setting}"
            )
    inside_usr = real.is_relative_to("/usr")
    return Engine(path=str(real), folders=() if inside_usr else (str(real.parent.parent),))
