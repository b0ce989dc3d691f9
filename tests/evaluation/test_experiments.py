"""Experiments: equal budgets, paired differences, and files that are refused before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import NotFoundError, SettingsError
from altlas_agent.evaluation.experiments.plan import read, shipped
from altlas_agent.evaluation.experiments.results import Ended, compare

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
about = "Which is better?"
suite = "quickstart"
seeds = [0, 1]
max_attempts = 100
[arms.one]
[arms.two]
learning.learning_rate = 0.001
"generation.adapt_arms" = false
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_experiment_can_be_carried_out(name: str) -> None:
    experiment = read(name)
    assert len(experiment.seeds) >= 5, "fewer seeds make no claim"
    assert len(experiment.arms) >= 2
    assert {trial.settings.run.max_attempts for trial in experiment.trials()} == {experiment.max_attempts}


def test_every_arm_runs_with_every_seed_and_its_own_settings(tmp_path: Path) -> None:
    trials = list(read(written(tmp_path, FILE)).trials())
    assert [trial.name for trial in trials] == ["mine/one/0", "mine/two/0", "mine/one/1", "mine/two/1"]
    assert [trial.settings.run.seed for trial in trials] == [0, 0, 1, 1]
    assert [trial.settings.learning.learning_rate == 0.001 for trial in trials] == [False, True] * 2
    assert [trial.settings.generation.adapt_arms for trial in trials] == [True, False] * 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("max_attempts = 100", "max_attempts = 0"), "mine: max_attempts must be at least 1"),
        (("seeds = [0, 1]", "seeds = [0, 0]"), "none twice"),
        (("[arms.one]\n[arms.two]", "[arms]\n[nothing]"), "nothing"),
        (("learning_rate = 0.001", "learning_rate = 9"), "experiment mine, arm two"),
        (("learning.learning_rate", "learning.lerning_rate"), "did you mean learning.learning_rate"),
        (("about =", "abuot ="), "abuot"),
        (('"Which', "Which"), "line 2"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read(written(tmp_path, FILE.replace(*change)))


def test_an_unknown_experiment_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match=r"there are: .*arms"):
        read("arsm")


def test_differences_are_taken_seed_by_seed_and_the_budget_bounds_what_counts() -> None:
    runs = [
        Ended("base", 0, 1, (50, None), 100),
        Ended("base", 1, 2, (100, 150), 150),
        Ended("other", 0, 3, (10, 20), 20),
        Ended("other", 1, 4, (50, 100), 100),
        Ended("other", 2, 5, (None, None), 100),
    ]
    lines = {(line.arm, line.measure): line for line in compare(runs, ["base", "other"], budget=100)}
    assert lines["base", "solved"].value.mean == 0.5, "what was solved behind the budget does not count"
    assert lines["base", "solved"].gain is None
    assert lines["other", "solved"].value.mean == pytest.approx(2 / 3)
    assert lines["other", "solved"].gain == (0.5, 0.5, 0.5), "over the seeds that both have"
    assert lines["base", "early"].value.mean == pytest.approx((0.25 + 0.0) / 2)
    assert lines["other", "attempts"].value.mean == pytest.approx((20 + 100 + 100) / 3)


def test_an_arm_that_was_not_run_yet_is_left_out() -> None:
    lines = compare([Ended("base", 0, 1, (5,), 10)], ["base", "other"], budget=10)
    assert {line.arm for line in lines} == {"base"}
