"""A run that is interrupted, in whatever way, comes to what it would have come to without that."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flows.conftest import Ended, finish, rows
from tests.sandbox.conftest import descendants

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from pydantic import JsonValue

    Command = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(240)

SIZE = "--max-attempts=288"
NEVER_DONE = "--set=run.stop_when_solved=false"
OFTEN = "--set=run.checkpoint_every_s=0.2"
SEEN = (
    "SELECT a.number, a.policy_version, a.score, a.solved, hex(a.tokens), hex(a.logps), b.hash "
    "FROM attempts a JOIN bodies b ON b.id = a.code_id WHERE a.run_id = 1 ORDER BY a.number"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run that nobody interrupted."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture
def uninterrupted(run_start: Command, whole: Path) -> Path:
    if not (whole / "altlas.db").exists():
        assert finish(run_start(SIZE, NEVER_DONE, OFTEN, "--home", str(whole))).code == 0
    return whole


def story(home: Path) -> list[tuple[JsonValue, ...]]:
    """Every attempt in order, as it was sampled and scored."""
    return [tuple(map(repr, row)) for row in rows(home, SEEN)]


def final_weights(home: Path) -> str:
    ((version, path, sha256),) = rows(
        home, "SELECT version, path, sha256 FROM checkpoints WHERE run_id = 1 ORDER BY version DESC LIMIT 1"
    )
    assert hashlib.sha256(Path(str(path)).read_bytes()).hexdigest() == sha256
    from safetensors.torch import load_file

    tensors = load_file(str(path))
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name != "extra.loop":  # which knows how long it took
            digest.update(name.encode() + tensors[name].numpy().tobytes())
    return f"{version} {digest.hexdigest()}"


def has_attempts(home: Path, count: int) -> bool:
    with suppress(Exception):
        return bool(rows(home, f"SELECT 1 FROM attempts WHERE number >= {count}"))
    return False


def command_of(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""  # it has ended


def wait_for(home: Path, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not has_attempts(home, count):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def assert_same(home: Path, other: Path) -> None:
    assert story(home) == story(other)
    assert final_weights(home) == final_weights(other)
    seqs = [seq for (seq,) in rows(home, "SELECT seq FROM events WHERE run_id = 1 ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    once = "SELECT count(*), count(DISTINCT attempt) FROM events WHERE type = 'AttemptScored'"
    assert rows(home, once) == [(288, 288)]


def resume(start: Command, home: Path, *words: str) -> Ended:
    return finish(start("run", "resume", "r1", "--home", str(home), *words))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_comes_to_what_it_would_have_come_to(
    run_start: Command, start: Command, uninterrupted: Path, *, tmp_path: Path, how: signal.Signals
) -> None:
    home = tmp_path / "home"
    process = run_start(SIZE, NEVER_DONE, OFTEN, "--home", str(home))
    wait_for(home, 150, process)
    process.send_signal(how)
    finish(process)
    assert len(story(home)) < 288
    ended = resume(start, home)
    assert ended.code == 0, ended.stderr
    assert_same(home, uninterrupted)


def test_a_run_without_a_checkpoint_begins_again_and_runs_nothing_twice(
    run_start: Command, start: Command, uninterrupted: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = run_start(SIZE, NEVER_DONE, "--home", str(home))
    wait_for(home, 150, process)
    process.kill()
    finish(process)
    assert rows(home, "SELECT count(*) FROM checkpoints") == [(0,)]
    ((stored,),) = rows(home, "SELECT count(*) FROM attempts")
    assert resume(start, home).code == 0
    assert_same(home, uninterrupted)
    (row,) = rows(home, "SELECT payload FROM events WHERE type = 'RunResumed'")
    assert b"attempts\x00" in bytes(str(row), "latin1").decode("unicode_escape").encode("latin1")
    assert isinstance(stored, int)
    assert stored >= 150


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    run_start: Command, start: Command, uninterrupted: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = run_start(SIZE, NEVER_DONE, OFTEN, "--home", str(home))
    wait_for(home, 200, process)
    process.kill()
    finish(process)
    newest = max((home / "runs" / "r1" / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-100])
    ended = resume(start, home)
    assert ended.code == 0, ended.stderr
    assert "damaged" in ended.stderr
    assert_same(home, uninterrupted)


def test_a_run_that_has_ended_goes_on_only_when_something_changes(
    run_start: Command, start: Command, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert finish(run_start("--max-attempts=96", NEVER_DONE, "--home", str(home))).code == 0
    refused = resume(start, home)
    assert refused.code == 1
    assert "run r1 has ended: the limit of attempts is reached" in refused.stderr
    assert resume(start, home, "--max-attempts=144").code == 0
    assert rows(home, "SELECT count(*) FROM attempts") == [(144,)]
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'SettingsSteered'") == [(1,)]


def test_a_run_whose_tasks_have_changed_is_refused(
    run_start: Command, start: Command, suite: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = run_start(SIZE, NEVER_DONE, "--home", str(home))
    wait_for(home, 50, process)
    process.send_signal(signal.SIGINT)
    finish(process)
    file = suite / "eight.json"
    file.write_text(file.read_text().replace("rung", "rung", 1).replace("8", "9"))
    refused = resume(start, home)
    assert refused.code != 0
    assert "changed" in refused.stderr or "broken" in refused.stderr


def test_a_run_whose_student_dies_goes_on_by_itself_and_comes_to_the_same_end(
    run_start: Command, uninterrupted: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = run_start(SIZE, NEVER_DONE, OFTEN, "--home", str(home))
    wait_for(home, 150, process)
    students = [pid for pid in descendants(process.pid) if b"learning.service" in command_of(pid)]
    for pid in students:
        os.kill(pid, signal.SIGKILL)
    ended = finish(process)
    assert students
    assert ended.code == 0, ended.stderr
    assert_same(home, uninterrupted)
    told = "SELECT type FROM events WHERE type IN ('ActorDied', 'ActorRestarted', 'RunResumed') ORDER BY seq"
    assert rows(home, told) == [("ActorDied",), ("ActorRestarted",), ("RunResumed",)]


def test_an_interrupted_start_that_is_repeated_with_continue_goes_on(
    run_start: Command, uninterrupted: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    words = (SIZE, NEVER_DONE, OFTEN, "--continue", "--home", str(home))
    process = run_start(*words)
    wait_for(home, 150, process)
    process.kill()
    finish(process)
    ended = finish(run_start(*words))
    assert (ended.code, "going on with r1" in ended.stderr) == (0, True)
    assert_same(home, uninterrupted)
    assert "r1 has ended (the limit of attempts is reached): a new run" in finish(run_start(*words)).stderr
