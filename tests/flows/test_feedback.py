"""A run that remembers failures goes on with the same memory, and a later run can begin with it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.states import FeedbackMemory, LoopState
from altlas_agent.daemon.recall import recalled
from altlas_agent.settings.learners.feedback import FeedbackSettings
from altlas_agent.settings.learning import LearningSettings
from altlas_agent.settings.run import Settings
from altlas_agent.tasks.loader import load_suite
from tests.flows.conftest import finish, rows
from tests.flows.test_going_on import NEVER_DONE, OFTEN, SIZE, assert_same, resume, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.test_going_on import Command

pytestmark = pytest.mark.timeout(240)

REMEMBER = "--set=learning.feedback.remember=true"


def remembered(home: Path) -> FeedbackMemory:
    """What lies in the last checkpoint of the first run."""
    from safetensors.torch import load_file

    ((path,),) = rows(home, "SELECT path FROM checkpoints WHERE run_id = 1 ORDER BY version DESC LIMIT 1")
    loop = load_file(str(path))["extra.loop"].numpy().tobytes()
    return msgspec.msgpack.decode(loop, type=LoopState).feedback


def test_a_run_goes_on_with_its_memory_and_a_later_one_begins_with_it(
    run_start: Command, start: Command, suite: Path, tmp_path: Path
) -> None:
    whole, home = tmp_path / "whole", tmp_path / "home"
    words = (SIZE, NEVER_DONE, OFTEN, REMEMBER)
    assert finish(run_start(*words, "--home", str(whole))).code == 0
    process = run_start(*words, "--home", str(home))
    wait_for(home, 150, process)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert resume(start, home).code == 0
    assert_same(home, whole)
    memory = remembered(whole)
    assert remembered(home) == memory
    assert any(each.failed for each in memory.tasks.values())
    feedback = FeedbackSettings(remember=True, start_from="r1")
    settings = Settings(learning=LearningSettings(feedback=feedback))
    again = recalled(home, load_suite(str(suite)), settings)
    for key, kept in memory.tasks.items():
        found = again.tasks[key]
        assert (found.failed, found.best, found.faults) == (kept.failed, kept.best, kept.faults)
        assert found.error == ""
    later = finish(run_start("--max-attempts=48", REMEMBER, START_FROM.format("r1"), "--home", str(home)))
    assert later.code == 0, later.stderr


START_FROM = "--set=learning.feedback.start_from={}"


def test_a_run_to_start_from_that_is_not_there_is_refused_before_anything_is_written(
    run_start: Command, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert finish(run_start("--max-attempts=48", "--home", str(home))).code == 0
    refused = finish(run_start(REMEMBER, START_FROM.format("r9"), "--home", str(home)))
    assert refused.code != 0
    assert "r9" in refused.stderr
    assert rows(home, "SELECT count(*) FROM runs WHERE id > 0") == [(1,)]
