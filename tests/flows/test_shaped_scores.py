"""Scores that depend on earlier attempts are the same whatever the workers, and after any interruption."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.flows.conftest import finish, rows
from tests.flows.test_going_on import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import JsonValue

    Command = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(240)

SIZE = ("--max-attempts=240", "--set=run.stop_when_solved=false", "--set=run.checkpoint_every_s=0.2")
SHAPED = (
    "--set=rewards.weights.novelty=0.2",
    "--set=rewards.weights.syntax=0.1",
    "--set=rewards.shaping.schedule=true",
    "--set=rewards.shaping.plateau_gain=2.0",
    "--set=rewards.shaping.plateau_groups=3",
    "--set=rewards.shaping.normalize=true",
    "--set=rewards.shaping.duplicate_price=0.3",
)
SEEN = (
    "SELECT number, score, hex(rewards), hex(exact), hex(tokens), hex(logps), policy_version "
    "FROM attempts WHERE run_id = 1 ORDER BY number"
)


def story(home: Path) -> list[tuple[JsonValue, ...]]:
    return rows(home, SEEN)


def test_shaped_scores_depend_on_the_order_of_attempts_only(
    run_start: Command, start: Command, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert finish(run_start(*SIZE, *SHAPED, "--set=sandbox.workers=2", "--home", str(whole))).code == 0
    process = run_start(*SIZE, *SHAPED, "--set=sandbox.workers=1", "--home", str(broken))
    wait_for(broken, 120, process)
    process.kill()
    finish(process)
    assert len(story(broken)) < 240
    assert finish(start("run", "resume", "r1", "--home", str(broken))).code == 0
    assert len(story(whole)) == 240
    assert story(broken) == story(whole)
    told = finish(start("reward", "explain", "r1", "200", "--json", "--home", str(whole))).stdout
    steps = [change["step"] for change in json.loads(told)["explanation"]["changes"]]
    assert steps[-5:] == ["schedule", "novelty", "plateau", "normal", "price"]
    ((names,),) = rows(whole, "SELECT names FROM reward_schemas WHERE names LIKE '%shaped.price%'")
    assert {"novelty", "syntax", "shaped.start"} <= set(json.loads(str(names)))
