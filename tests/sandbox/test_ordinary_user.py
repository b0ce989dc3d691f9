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
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    made = Place.make(tmp_path)
    yield made
    made.listener.close()


def attacked_by_a_user(rung: str, place: Place) -> tuple[str, set[str]]:
    """The rung that really ran, and what was reached."""
    drop = USER if os.geteuid() == 0 else None
    done = subprocess.run(
        [SYSTEM_PYTHON, "-m", "tests.sandbox.attacks", rung, str(place.folder), str(place.port)],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HOME": str(place.folder),
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
    shown = json.loads(done.stdout)
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
