"""An exam of a run's policy: fresh samples, unseen instances, and nothing of the run changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.evaluation.exam import Report
from tests.flows.conftest import finish, rows

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

EVENTS = "SELECT count(*), max(seq) FROM events"


def test_what_a_run_has_learned_is_shown_by_fresh_samples(
    run_start: Callable[..., subprocess.Popen[str]],
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    assert finish(run_start("--max-attempts=2400", "--set=run.stop_when_solved=false")).code == 0
    before = rows(tmp_path / "home", EVENTS)
    asked = finish(start("run", "exam", "@latest", "--instances=2", "-k", "4", "--json"))
    assert asked.code == 0, asked.stderr
    report = msgspec.json.decode(asked.stdout, type=Report)
    assert [(mark.task, mark.is_unseen, mark.samples) for mark in report.marks] == [
        ("little/eight", False, 4),
        ("little/twice", False, 4),
        ("little/plus", False, 4),
        ("little/plus", True, 4),
        ("little/plus", True, 4),
    ]
    seen = next(grade for grade in report.grades if grade.what == "seen")
    assert seen.pass_at_k.mean > 0.3, "the policy itself has learned of it"
    assert seen.pass_at_1.mean <= seen.pass_at_k.mean
    assert rows(tmp_path / "home", EVENTS) == before
    kept = finish(start("run", "exam", "@latest", "--list", "--json"))
    assert msgspec.json.decode(kept.stdout, type=dict[str, list[Report]]) == {"rows": [report]}
    hashes = [sha256 for (sha256,) in rows(tmp_path / "home", "SELECT sha256 FROM checkpoints")]
    assert report.sha256 in hashes
    shown = finish(start("run", "show", "@latest", "--no-programs"))
    assert f"version {report.version} ({report.sha256[:12]}): seen pass@1" in shown.stdout
    assert finish(start("run", "show", "@latest", "--json")).json()["exams"] == [asked.json()]


def test_a_home_without_runs_says_how_to_start_one(start: Callable[..., subprocess.Popen[str]]) -> None:
    asked = finish(start("run", "exam", "r1"))
    assert asked.code == 1
    assert "altlas run start" in asked.stderr
