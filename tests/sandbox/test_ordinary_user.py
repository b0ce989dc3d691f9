"""The same attacks on every rung, as root and as an ordinary user, judged by what they reach outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.attacks import Place, attack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.sandbox.runner import Runner

USER = 61_777
LODA = """
import json, sys
from altlas_agent.core.records import Limits, Program
from altlas_agent.sandbox.slots import LADDERS, Options
runner = dict(LADDERS["loda"])[sys.argv[1]](Options(allow_reduced=True, allow_unsafe=True))
result = runner.run(Program(language="loda", code="mul $0,$0\\n", stdin="7"), Limits())
print(json.dumps([result.stdout.decode(), result.rung, *result.layers]))
runner.close()
"""
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    made = Place.make(tmp_path)
    yield made
    made.listener.close()


def run_by_a_user(home: Path, *words: str) -> str:
    """What a Python of the system prints as an ordinary user."""
    drop = USER if os.geteuid() == 0 else None
    done = subprocess.run(
        [SYSTEM_PYTHON, *words],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HOME": str(home),
        },
        cwd=Path(__file__).parents[2],
        user=drop,
        group=drop,
        extra_groups=[] if drop else None,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    if "No module named" in done.stderr:
        pytest.skip(f"{SYSTEM_PYTHON} cannot use what is installed here")
    assert done.returncode == 0, done.stderr
    return done.stdout


def attacked_by_a_user(rung: str, place: Place) -> tuple[str, set[str]]:
    """The rung that really ran, and what was reached."""
    words = ("-m", "tests.sandbox.attacks", rung, str(place.folder), str(place.port))
    shown = json.loads(run_by_a_user(place.folder, *words))
    assert "done" in shown["output"], shown
    return shown["rung"], place.traces(shown["output"], victim_died=shown["victim_died"])


def test_every_attack_is_contained(python_runner: Runner, place: Place) -> None:
    result, died = attack(python_runner, str(place.folder), place.port)
    assert result.stdout == b"done\n"
    assert place.traces(result.stdout.decode(), victim_died=died) == set()


@pytest.mark.parametrize("rung", ["zygote-no-cgroup", "bwrap-per-exec", "landlock"])
def test_every_attack_is_contained_for_an_ordinary_user(rung: str, place: Place) -> None:
    assert attacked_by_a_user(rung, place) == (rung, set())


def test_without_a_jail_the_attacks_succeed_and_only_outliving_is_stopped(place: Place) -> None:
    reached = {"network", "reading", "writing", "modes", "signals"}
    assert attacked_by_a_user("plain", place) == ("plain", reached)


@pytest.mark.parametrize("rung", ["zygote-no-cgroup", "bwrap-per-exec", "landlock", "plain"])
def test_an_ordinary_user_runs_loda_on_every_rung_and_is_told_which(rung: str, place: Place) -> None:
    shown, ran_on, *layers = json.loads(run_by_a_user(place.folder, "-c", LODA, rung))
    assert (shown, ran_on) == ("49\n", rung)
    assert ("net-ns" in layers, "reduced" in layers) == (
        rung in ("zygote-no-cgroup", "bwrap-per-exec"),
        rung == "landlock",
    )
