"""An experiment as users carry it out: stored like runs, and not run twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.conftest import finish, rows

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

RUNS = "SELECT name, status, seed FROM runs WHERE id > 0 ORDER BY id"


def test_an_experiment_runs_each_arm_and_seed_once(
    start: Callable[..., subprocess.Popen[str]], suite: Path, tmp_path: Path
) -> None:
    small = (
        '"tasks.groups_per_batch" = 2\n"tasks.group_size" = 4\n"policy.hidden" = 16\n"sandbox.workers" = 1\n'
    )
    text = f'about = "Try."\nsuite = "{suite}"\nseeds = [3]\nmax_attempts = 16\n[arms.a]\n{small}[arms.b]\n{small}"generation.search_share" = 0\n'
    (tmp_path / "try.toml").write_text(text, encoding="utf-8")
    first = finish(start("experiment", "run", "try.toml"))
    assert first.code == 0, first.stderr
    assert rows(tmp_path / "home", RUNS) == [
        ("try/a/3", "ended", 3),
        ("try/b/3", "ended", 3),
    ]
    again = finish(start("experiment", "run", "try.toml", "--json"))
    assert len(rows(tmp_path / "home", RUNS)) == 2
    assert [line["arm"] for line in again.json()["lines"]] == ["a"] * 3 + ["b"] * 3  # type: ignore[index, union-attr, call-overload]
