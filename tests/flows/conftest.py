"""A suite that is learned in seconds, and runs of it as users start them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.conftest import start, surroundings
from tests.tasks.examples import Tree, family, function_task, stdout_task, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import JsonValue

__all__ = ["start", "surroundings"]

TINY = (
    "--profile=tiny",
    "--set=tasks.groups_per_batch=3",
    "--set=policy.hidden=24",
    "--set=policy.embedding=12",
    "--set=sandbox.prewarmed_nodes=0",
)
"""Small enough to start and learn at once."""

FINISH_S = 100


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Tree:
        value: Tree = json.loads(self.stdout)
        return value


def eight() -> Tree:
    return stdout_task(name="eight", rung=1)


def twice() -> Tree:
    return function_task(
        name="twice", rung=2, description="Write a function double(n) that returns n times 2."
    )


def plus() -> Tree:
    """A family: print a number plus 1."""
    tree = family(
        name="plus",
        rung=3,
        description="Print {k} plus 1.",
        kind="stdout",
        tests={"hidden": [{}]},
        constraints={"require": {"operators": ["+"]}, "max_tokens": 8},
        reference="print({k} + 1)\n",
        cheats=["print(1)\n"],
        tokens="OUTPUT ADD NUM_0 INT_1 END",
    )
    del tree["signature"]
    return tree


def write_suite(folder: Path) -> Path:
    """Three tasks that are learned in some hundred attempts."""
    write(folder, eight(), twice(), plus())
    return folder


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "little")


@pytest.fixture
def run_start(
    start: Callable[..., subprocess.Popen[str]], suite: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Starts `altlas run start` on the suite; the words come behind it."""

    def start_run(*words: str, **more: dict[str, str]) -> subprocess.Popen[str]:
        return start("run", "start", str(suite), *TINY, *words, **more)

    return start_run


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a command."""
    try:
        stdout, stderr = process.communicate(timeout=FINISH_S)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        pytest.fail(f"it does not end; stdout:\n{stdout}\nstderr:\n{stderr}")
    return Ended(process.returncode, stdout, stderr)


def rows(home: Path, sql: str) -> list[tuple[JsonValue, ...]]:
    """What the database of a home answers."""
    with closing(sqlite3.connect(f"file:{home / 'altlas.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()
