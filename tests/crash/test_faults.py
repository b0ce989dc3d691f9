"""Whole runs among faults: a lock, a full disk, signals, a wall clock that jumps, too few files, a home that is read-only."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from tests.crash import checks
from tests.crash.fronts import COMMAND, Daemon, Foreground, Place
from tests.flows.conftest import TINY, write_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crash.checks import Story
    from tests.crash.fronts import Front

pytestmark = pytest.mark.timeout(300)

ATTEMPTS = 480
WORDS = (
    *TINY,
    f"--max-attempts={ATTEMPTS}",
    "--set=run.stop_when_solved=false",
    "--set=run.checkpoint_every_s=0.2",
)
ENDS_S = 150.0
ENDS_BY_SIGNAL_S = 10.0
"""The promise is 5 s; another process may need the processors meanwhile."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp("suites") / "little")


@pytest.fixture(scope="module")
def reference(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """What the run comes to that nothing happens to."""
    place = Place(tmp_path_factory.mktemp("whole") / "place", suite, WORDS)
    front = Foreground(place)
    front.begin()
    assert front.wait(ENDS_S) == 0, place.said()
    return checks.story(place)


@pytest.fixture
def make_place(suite: Path, tmp_path: Path) -> Callable[..., Place]:
    def make(folder: Path = tmp_path / "place") -> Place:
        return Place(folder, suite, WORDS)

    return make


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    return make_place()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def wait_for(place: Place, sql: str, front: Front | None = None) -> None:
    """Wait until the database answers something else than nothing."""
    until = time.monotonic() + 90
    while not place.ask(sql):
        assert front is None or front.is_alive(), place.said()
        assert time.monotonic() < until, place.said()
        time.sleep(0.02)


def assert_sound(place: Place, reference: Story) -> None:
    assert checks.soundness(place, thorough=True) == []
    assert checks.order(place) == []
    assert checks.the_end(place, reference) == []


def fill(path: Path) -> None:
    """Write until there is no room."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def notes(place: Place) -> str:
    return "".join(
        str(row) for row in place.ask("SELECT payload FROM events WHERE type = 'Note' ORDER BY seq")
    )


def test_a_run_waits_while_another_program_holds_the_database_and_loses_nothing(
    place: Place, reference: Story
) -> None:
    front = Foreground(place)
    front.begin()
    wait_for(place, "SELECT 1 FROM attempts WHERE number > 60", front)
    with closing(sqlite3.connect(place.home / "altlas.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        (before,) = place.ask("SELECT count(*) FROM attempts")
        time.sleep(4)
        assert place.ask("SELECT count(*) FROM attempts") == [before]
        assert front.is_alive()
        other.execute("ROLLBACK")
    assert front.wait(ENDS_S) == 0, place.said()
    assert "another program holds the database" in notes(place)
    assert_sound(place, reference)


def test_a_run_waits_while_the_disk_is_full_can_be_read_meanwhile_and_goes_on(
    make_place: Callable[..., Place], small_disk: Path, reference: Story
) -> None:
    place = make_place(small_disk / "place")
    front = Foreground(place)
    front.begin()
    wait_for(place, "SELECT 1 FROM attempts WHERE number > 60", front)
    ballast = small_disk / "ballast"
    fill(ballast)
    time.sleep(4)
    stored = place.ask("SELECT count(*) FROM attempts")
    time.sleep(1)
    assert front.is_alive(), place.said()
    assert place.ask("SELECT count(*) FROM attempts") == stored
    assert place.run("run", "list").wait(30) == 0
    ballast.unlink()
    assert front.wait(ENDS_S) == 0, place.said()
    assert "the disk is full" in notes(place)
    assert_sound(place, reference)


@pytest.mark.parametrize(
    ("make", "where", "code"), [(Foreground, "commit:25:self", 130), (Daemon, "written:3:parent", 0)]
)
def test_sigterm_amid_a_commit_or_a_checkpoint_ends_soon_and_the_run_can_go_on(
    place: Place, reference: Story, *, where: str, make: type[Foreground | Daemon], code: int
) -> None:
    front = make(place)
    front.begin(f"{where}:0:SIGTERM")
    until = time.monotonic() + 90
    while not place.was_hit:
        assert time.monotonic() < until, place.said()
        time.sleep(0.01)
    assert front.exit_code(ENDS_BY_SIGNAL_S) == code, place.said()
    assert checks.soundness(place, thorough=True) == []
    assert checks.so_far(place, reference) == []
    assert len(checks.story(place).attempts) < ATTEMPTS
    front.begin()
    assert front.wait(ENDS_S) == 0, place.said()
    front.close()
    assert_sound(place, reference)


def test_a_wall_clock_that_jumps_by_hours_and_days_changes_nothing(place: Place, reference: Story) -> None:
    front = Foreground(place)
    began = time.monotonic()
    front.begin("clock:20:self:0:SIGKILL")
    assert front.wait(ENDS_S) == 0, place.said()
    took_s = time.monotonic() - began
    assert_sound(place, reference)
    ((least, most),) = place.ask("SELECT min(wall_ns), max(wall_ns) FROM events")
    assert isinstance(least, int)
    assert isinstance(most, int)
    assert most - least > 3600 * 10**9, "the clock did jump"
    ((wall_s,),) = place.ask("SELECT wall_s FROM runs")
    assert isinstance(wall_s, float)
    assert 0 < wall_s < took_s
    assert place.ask("SELECT count(*) FROM attempts WHERE wall_s < 0 OR wall_s > 60") == [(0,)]
    left = [line for line in place.said().splitlines() if " s left" in line]
    assert all(0 <= float(line.rpartition("|")[2].split()[0]) < 600 for line in left)
    assert place.ask(
        "SELECT count(*) FROM events WHERE type IN ('WorkerLost', 'ActorDied', 'LoopBlocked')"
    ) == [(0,)]


@pytest.mark.parametrize("files", [12, 64])
def test_with_few_open_files_a_run_comes_to_its_end_or_says_at_once_what_is_missing(
    place: Place, reference: Story, files: int
) -> None:
    began = time.monotonic()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    process = place.run(
        "run",
        "start",
        str(place.suite),
        *place.words,
        limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard)),
    )
    code = process.wait(ENDS_S)
    if code == 0:
        assert_sound(place, reference)
        return
    assert time.monotonic() - began < 60
    told = [line for line in place.said().splitlines() if line.startswith("altlas: ")]
    assert len(told) == 1, place.said()
    assert "Too many open files" in told[0]
    assert "Traceback" not in place.said()


def test_a_home_that_is_read_only_is_refused_at_once(
    make_place: Callable[..., Place], small_disk: Path
) -> None:
    place = make_place(small_disk / "place")
    place.home.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused = subprocess.run(
        [*COMMAND, "run", "start", str(place.suite), *WORDS, "--home", str(place.home)],
        env=place.surroundings(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert refused.returncode == 70, refused.stderr
    assert "choose another home with --home" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert os.listdir(place.home) == []
