"""The same attacks on every rung, as root and as an ordinary user, judged by what they reach outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.sandbox.walls.cgroup import Cgroup
from tests.sandbox.attacks import OUTLIVING, REACHED_WITHOUT_A_JAIL, RUNGS, Place, Shown, attack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from altlas_agent.sandbox.runner import Runner

ROOT = Path(__file__).parents[2]
USER = 61_777


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the sandbox reads while it runs, where every user can read it."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "altlas_agent", folder / "altlas_agent")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "tests" / "sandbox").mkdir(parents=True)
    for name in ("__init__.py", "sandbox/attacks.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests" / name)
    open_ways_to(folder)
    folder.chmod(0o755)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    open_ways_to(tmp_path)
    made = Place.make(tmp_path)
    yield made
    made.close()


@pytest.fixture
def handed_over() -> Iterator[list[Path]]:
    """Control groups of an ordinary user, as a service manager hands them over."""
    try:
        made = Cgroup.make()
    except SandboxError as error:
        pytest.skip(error.message)
    opened = made.join_files()
    folders = [Path(os.readlink(f"/proc/self/fd/{fd}")).parent for fd in opened]
    for fd in opened:
        os.close(fd)
    if len(folders) == 1 or os.geteuid() != 0:
        pytest.skip("only root can hand over, and in version 2 not the group of its own processes")
    for path in (each for folder in folders for each in (folder, *folder.iterdir())):
        os.chown(path, USER, USER)
    yield folders
    made.close()


def open_ways_to(folder: Path) -> None:
    """Let every user enter a temporary folder."""
    for each in (folder, *folder.parents[:-2]):
        if each.stat().st_uid == os.geteuid():
            each.chmod(each.stat().st_mode | 0o011)


def attacked_by_a_user(tree: Path, rung: str, place: Place, groups: Iterable[Path] = ()) -> Shown:
    """What an ordinary user sees who makes the attacks on a rung, as a member of these control groups."""
    uid = USER if os.geteuid() == 0 else 0

    def join() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    done = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.attacks", rung, str(place.folder), str(place.port), str(uid)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "HOME": str(place.folder)},
        cwd=tree,
        preexec_fn=join,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Shown)


def assert_contained(shown: Shown, place: Place) -> None:
    assert shown.output == "done\n"
    assert place.traces(shown) == set()
    assert shown.serves
    assert shown.left == []


def test_every_attack_is_contained(python_runner: Runner, place: Place) -> None:
    assert_contained(attack(python_runner, str(place.folder), place.port), place)


@pytest.mark.parametrize("rung", [rung for rung in RUNGS if rung != "zygote-full"])
def test_every_attack_is_contained_for_an_ordinary_user(tree: Path, rung: str, place: Place) -> None:
    shown = attacked_by_a_user(tree, rung, place)
    assert shown.rung == {"zygote-python": "zygote-no-cgroup"}.get(rung, rung)
    assert_contained(shown, place)


def test_every_attack_is_contained_for_an_ordinary_user_with_control_groups(
    tree: Path, handed_over: list[Path], place: Place
) -> None:
    shown = attacked_by_a_user(tree, "zygote-full", place, handed_over)
    assert shown.rung == "zygote-full"
    assert_contained(shown, place)


def test_without_a_jail_the_attacks_succeed_and_only_outliving_is_stopped(tree: Path, place: Place) -> None:
    shown = attacked_by_a_user(tree, "plain", place)
    assert shown.rung == "plain"
    assert place.traces(shown) == REACHED_WITHOUT_A_JAIL


def test_without_any_runner_every_attack_succeeds(tree: Path, place: Place) -> None:
    assert place.traces(attacked_by_a_user(tree, "none", place)) == REACHED_WITHOUT_A_JAIL | {OUTLIVING}


LODA = """
import json, sys
from altlas_agent.core.records import Limits, Program
from altlas_agent.sandbox.slots import LADDERS, Options
from tests.sandbox.attacks import become
if sys.argv[2] != "0":
    become(int(sys.argv[2]))
runner = dict(LADDERS["loda"])[sys.argv[1]](Options(allow_reduced=True, allow_unsafe=True))
result = runner.run(Program(language="loda", code="mul $0,$0\\n", stdin="7"), Limits())
print(json.dumps([(result.stdout + result.stderr).decode(), result.rung, *result.layers]))
runner.close()
"""


@pytest.mark.parametrize("rung", ["zygote-no-cgroup", "bwrap-per-exec", "landlock", "plain"])
def test_an_ordinary_user_runs_loda_on_every_rung_and_is_told_which(
    tree: Path, rung: str, place: Place
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LODA, rung, str(USER if os.geteuid() == 0 else 0)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tree), "HOME": str(place.folder)},
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown, ran_on, *layers = json.loads(done.stdout)
    assert (shown, ran_on) == ("49\n", rung)
    assert ("net-ns" in layers, "reduced" in layers) == (
        rung in ("zygote-no-cgroup", "bwrap-per-exec"),
        rung == "landlock",
    )
