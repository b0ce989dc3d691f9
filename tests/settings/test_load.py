"""Which value wins, and where it is said to come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.resources import location
from altlas_agent.settings.load import Loaded, load, project_file, resolved, restored, user_path
from altlas_agent.settings.reading.sources import Flag, assignments
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _load(
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    project: Path | None = None,
    user: Path | None = None,
    profile: str | None = None,
) -> Loaded:
    return load(
        flags=flags or {}, environ=environ or {}, project_file=project, user_file=user, profile=profile
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_the_settings_are_the_defaults() -> None:
    loaded = _load()
    assert loaded.settings == Settings()
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_the_strongest_source_wins_and_is_named(tmp_path: Path) -> None:
    user = _write(
        tmp_path / "user.toml", "[tasks]\ngroup_size = 21\ngroups_per_batch = 22\npatience_groups = 23\n"
    )
    project = _write(tmp_path / "altlas.toml", "[tasks]\ngroup_size = 31\ngroups_per_batch = 32\n")
    loaded = _load(
        profile="tiny",
        user=user,
        project=project,
        environ={"ALTLAS_TASKS__GROUP_SIZE": "41"},
        flags={"run.seed": Flag("--seed", 51), "run.staleness": 2},
    )
    assert loaded.profile == "tiny"
    tiny = location("configs", "profiles/tiny.toml")
    seen = {key: (_at(loaded.settings, key), str(loaded.origins[key])) for key in _INTERESTING}
    assert seen == {
        "run.seed": (51, "flag --seed"),
        "run.staleness": (2, "flag --set run.staleness"),
        "tasks.group_size": (41, "environment ALTLAS_TASKS__GROUP_SIZE"),
        "tasks.groups_per_batch": (32, f"project file {project}:3"),
        "tasks.patience_groups": (23, f"user file {user}:4"),
        "policy.hidden": (48, f"profile tiny {tiny}:{_line(tiny, 'hidden')}"),
        "policy.layers": (1, "default"),
    }


_INTERESTING = (
    "run.seed",
    "run.staleness",
    "tasks.group_size",
    "tasks.groups_per_batch",
    "tasks.patience_groups",
    "policy.hidden",
    "policy.layers",
)


def _at(settings: Settings, key: str) -> object:
    value: object = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _line(path: Path, key: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(f"{key} ="))


def test_dotted_keys_and_inline_tables_count_like_tables(tmp_path: Path) -> None:
    project = _write(
        tmp_path / "altlas.toml",
        "run.seed = 3\nrewards = { weights = { tests = 2.0 } }\n[learning]\nalgorithm.outcome_gate = false\n",
    )
    loaded = _load(project=project)
    assert loaded.settings.run.seed == 3
    assert loaded.settings.rewards.weights.tests == 2.0
    assert not loaded.settings.learning.algorithm.outcome_gate
    assert str(loaded.origins["rewards.weights.tests"]) == f"project file {project}:2"
    assert str(loaded.origins["learning.algorithm.outcome_gate"]) == f"project file {project}:4"


def test_environment_reaches_every_level() -> None:
    loaded = _load(
        environ={
            "ALTLAS_LEARNING__LEARNING_RATE": "0.001",
            "ALTLAS_REWARDS__WEIGHTS__LENGTH": "0",
            "ALTLAS_RUN__STOP_WHEN_SOLVED": "false",
            "ALTLAS_DAEMON__LOG_LEVEL": "debug",
            "ALTLAS_HOME": "/somewhere",
            "HOME": "/elsewhere",
        }
    )
    assert loaded.settings.learning.learning_rate == 0.001
    assert loaded.settings.rewards.weights.length == 0
    assert not loaded.settings.run.stop_when_solved
    assert loaded.settings.daemon.log_level == "debug"


def test_a_whole_section_may_come_from_one_inline_table() -> None:
    loaded = _load(flags=assignments(["run={seed = 4, staleness = 0}"], Settings))
    assert (loaded.settings.run.seed, loaded.settings.run.staleness) == (4, 0)
    assert str(loaded.origins["run.seed"]) == "flag --set run"


def test_a_table_and_a_key_in_it_are_merged() -> None:
    words = ["run={seed = 4, staleness = 0}", "run.seed=5"]
    loaded = _load(flags=assignments(words, Settings))
    assert (loaded.settings.run.seed, loaded.settings.run.staleness) == (5, 0)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("sandbox.python=/usr/bin/python3", "/usr/bin/python3"),
        ('sandbox.python="/usr/bin/python3"', "/usr/bin/python3"),
        ("sandbox.python=3.11", "3.11"),
        ("sandbox.python=true", "true"),
        ("sandbox.python=a=b", "a=b"),
        ("run.seed = 5", 5),
        ("run.stop_when_solved=false", False),
        ("learning.learning_rate=1e-4", 1e-4),
        ("nobody.knows=it", "it"),
    ],
)
def test_set_takes_toml_values_and_bare_text(word: str, value: object) -> None:
    assert list(assignments([word], Settings).values()) == [value]


def test_the_last_set_of_a_key_wins() -> None:
    assert assignments(["run.seed=1", "run.seed=2"], Settings) == {"run.seed": 2}


@pytest.mark.parametrize("text", ["1\nrun.seed = 2", "[[[[", "9" * 5000])
def test_a_value_that_is_not_one_toml_value_is_taken_as_text(text: str) -> None:
    assert assignments([f"x={text}"], Settings) == {"x": text}


def test_the_profile_is_the_strongest_one_named(tmp_path: Path) -> None:
    user = _write(tmp_path / "user.toml", 'profile = "gpu"\n')
    project = _write(tmp_path / "altlas.toml", 'profile = "laptop"\n')
    environ = {"ALTLAS_PROFILE": "tiny"}
    assert _load(user=user).profile == "gpu"
    assert _load(user=user, project=project).profile == "laptop"
    assert _load(user=user, project=project, environ=environ).profile == "tiny"
    assert _load(user=user, project=project, environ=environ, profile="gpu").profile == "gpu"


def test_what_is_stored_with_a_run_gives_the_same_settings_back() -> None:
    settings = _load(profile="gpu", flags={"run.seed": 9}).settings
    assert restored(resolved(settings)) == settings


def test_altlas_config_stands_in_for_the_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert project_file({}) is None
    _write(tmp_path / "altlas.toml", "")
    assert str(project_file({})) == "altlas.toml"
    assert str(project_file({"ALTLAS_CONFIG": "/x/other.toml"})) == "/x/other.toml"


def test_the_user_file_lies_in_the_xdg_config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_path() == tmp_path / "altlas" / "config.toml"
