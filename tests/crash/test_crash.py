"""A run that is killed again and again loses nothing and comes to the same end: small here, `make crash-test` at large."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.crash.fronts import ROOT

KILLS = 7

pytestmark = pytest.mark.timeout(400)


def test_kills_lose_nothing_that_was_acknowledged_and_the_run_comes_to_the_same_end() -> None:
    sizes = ["--attempts=480", "--longest=0.6", "--stopped=1", "--ready-bar=0"]
    command = [sys.executable, "-m", "tests.crash", f"--kills={KILLS}", *sizes, "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    found = json.loads(ended.stdout)
    assert found["failures"] == []
    assert found["lost"] == 0
    assert found["kills"] + found["missed_aims"] >= KILLS - 1
    assert found["acknowledged"] == found["runs"] * 480
    assert found["runs"] >= 2, "in front, and behind a daemon"
