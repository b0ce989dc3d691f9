"""Settings that are wrong, unknown or idle are refused with their place, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit, SettingsError, UsageError
from altlas_agent.settings.load import load, restored
from altlas_agent.settings.reading.sources import assignments
from altlas_agent.settings.rewards import ScorerWeights
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _refusal(
    tmp_path: Path,
    *,
    project: str = "",
    user: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    profile: str | None = None,
) -> str:
    """What is said about these sources, with the folder taken out of it."""
    files = {"altlas.toml": project, "config.toml": user}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(
            flags=flags or {},
            environ=environ or {},
            project_file=tmp_path / "altlas.toml",
            user_file=tmp_path / "config.toml",
            profile=profile,
        )
    assert caught.value.exit_code is Exit.SETTINGS_REFUSED
    return caught.value.message.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (
            "[learning]\nlearning_rat = 1",
            "project file altlas.toml:2: unknown setting learning.learning_rat; did you mean learning.learning_rate?",
        ),
        (
            "\n\nlearning_rate = 1",
            "project file altlas.toml:3: unknown setting learning_rate; did you mean learning.learning_rate?",
        ),
        (
            "[lerning]\nthreads = 1",
            "project file altlas.toml:1: unknown section lerning; did you mean learning?",
        ),
        ("[zzz]", "project file altlas.toml:1: unknown section zzz"),
        ('profil = "tiny"', "project file altlas.toml:1: unknown setting profil; did you mean profile?"),
        (
            "[run]\nseed = -1",
            "project file altlas.toml:2: run.seed must be greater than or equal to 0, not -1",
        ),
        ("run.seed = true", "project file altlas.toml:1: run.seed must be a valid integer, not True"),
        ('run.seed = "7"', "project file altlas.toml:1: run.seed must be a valid integer, not '7'"),
        (
            "run.max_time_s = inf",
            "project file altlas.toml:1: run.max_time_s must be a finite number, not inf",
        ),
        (
            "run.stop_when_solved = 1",
            "project file altlas.toml:1: run.stop_when_solved must be true or false, not 1",
        ),
        ("run = 3", "project file altlas.toml:1: run must be a table of keys, not 3"),
        (
            'policy.type = "recurent"',
            "project file altlas.toml:1: policy.type must be one of 'recurrent', 'lstm', 'transformer', not 'recurent'",
        ),
        (
            "[policy]\n# heads\nheads = 4",
            "project file altlas.toml:3: policy.heads has no effect with type 'recurrent'; it belongs to type 'lstm' and 'transformer'",
        ),
        (
            "[policy]\nhiden = 4",
            "project file altlas.toml:2: policy.hiden has no effect with type 'recurrent'; did you mean policy.hidden?",
        ),
        (
            "generation = { flat_share = 0.75, grammar_share = 0.5 }",
            "project file altlas.toml:1: generation: flat_share 0.75 + grammar_share 0.5 + search_share 0.125 + mutate_share 0.125 is above 1",
        ),
        ('profile = "tinny"', "no profile 'tinny'; did you mean tiny?"),
        ("profile = 3", "project file altlas.toml:1: profile must be the name of a profile, not 3"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path, project: str, said: str) -> None:
    assert _refusal(tmp_path, project=project) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ALTLAS_LERNING__THREADS", "; did you mean ALTLAS_LEARNING?"),
        ("ALTLAS_LEARNING_LEARNING_RATE", "; did you mean ALTLAS_LEARNING__LEARNING_RATE?"),
        ("ALTLAS_XYZ", "unknown setting ALTLAS_XYZ"),
        ("ALTLAS_SEED", "; did you mean ALTLAS_RUN__SEED?"),
        ("ALTLAS_HOEM", "; did you mean ALTLAS_HOME?"),
        ("ALTLAS_", ""),
        ("ALTLAS_RUN__SEED__X", " must be a valid integer, not {'X': 1}"),
    ],
)
def test_an_unknown_name_in_the_environment_is_refused(tmp_path: Path, name: str, said: str) -> None:
    message = _refusal(tmp_path, environ={name: "1"})
    assert message.startswith(f"environment {name}: ")
    assert message.lower().endswith(said.lower())


def test_every_problem_of_every_source_is_listed_at_once(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path,
        user="[run]\nseed = -1\nsed = 1\n",
        project="[run]\nseed = -2\n",
        environ={"ALTLAS_RUN__STALENESS": "9"},
        flags={"run.seed": "x"},
    )
    assert message.splitlines() == [
        "settings refused, nothing was applied",
        "  user file config.toml:2: run.seed must be greater than or equal to 0, not -1",
        "  user file config.toml:3: unknown setting run.sed; did you mean run.seed?",
        "  project file altlas.toml:2: run.seed must be greater than or equal to 0, not -2",
        "  environment ALTLAS_RUN__STALENESS: ALTLAS_RUN__STALENESS must be less than or equal to 8, not 9",
        "  flag --set run.seed: run.seed must be a valid integer, not 'x'",
    ]


def test_keys_of_several_sources_that_do_not_fit_together_name_all_of_them(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path, project="generation.flat_share = 0.75", environ={"ALTLAS_GENERATION__GRAMMAR_SHARE": "0.5"}
    )
    assert message == (
        "project file altlas.toml:1, environment ALTLAS_GENERATION__GRAMMAR_SHARE: "
        "generation: flat_share 0.75 + grammar_share 0.5 + search_share 0.125 + mutate_share 0.125 is above 1"
    )


def test_a_stronger_source_may_set_right_what_does_not_fit_together(tmp_path: Path) -> None:
    project = tmp_path / "altlas.toml"
    project.write_text("[generation]\nflat_share = 0.9\n", encoding="utf-8")
    flags = dict.fromkeys(
        ("generation.grammar_share", "generation.search_share", "generation.mutate_share"), 0.03
    )
    loaded = load(flags=flags, environ={}, project_file=project, user_file=None, profile=None)
    assert loaded.settings.generation.flat_share == 0.9


@pytest.mark.parametrize(
    ("flags", "idle", "reason"),
    [
        (
            {"learning.replay_share": 0.0, "learning.replay_capacity": 9},
            "learning.replay_capacity",
            "replay_share = 0",
        ),
        (
            {"learning.replay_share": 0.0, "learning.replay_weight": 0.5},
            "learning.replay_weight",
            "replay_share = 0",
        ),
        (
            {"generation.flat_share": 0.0, "generation.flat_temperature": 3.0},
            "generation.flat_temperature",
            "flat_share = 0",
        ),
        (
            {"generation.flat_share": 0.625, "generation.temperature": 3.0},
            "generation.temperature",
            "the shares of the arms add up to 1",
        ),
        (
            {"learning.algorithm.scale_rewards": "none", "learning.algorithm.epsilon": 0.1},
            "learning.algorithm.epsilon",
            'scale_rewards = "none"',
        ),
        (
            {"learning.algorithm.loss": "sapo", "learning.algorithm.ratio_cap": 3.0},
            "learning.algorithm.ratio_cap",
            'loss = "sapo"',
        ),
        ({"learning.entropy.highest": 0.2}, "learning.entropy.highest", 'control = "fixed"'),
        (
            {"learning.entropy.control": "success", "learning.entropy_coef": 0.2},
            "learning.entropy_coef",
            'entropy.control = "success"',
        ),
        ({"learning.zclip.threshold": 3.0}, "learning.zclip.threshold", "enabled = false"),
        ({"learning.pace.factor": 0.9}, "learning.pace.factor", "by_score = false"),
        ({"learning.reference.bias_correction": True}, "learning.reference.bias_correction", "weight = 0"),
        ({"rewards.shaping.form_last": 0.3}, "rewards.shaping.form_last", "schedule = false"),
        ({"rewards.shaping.plateau_groups": 3}, "rewards.shaping.plateau_groups", "plateau_gain = 1"),
        ({"rewards.shaping.decay": 0.3}, "rewards.shaping.decay", "normalize = false and plateau_gain = 1"),
    ],
)
def test_a_given_key_without_effect_is_refused(
    tmp_path: Path, flags: dict[str, object], idle: str, reason: str
) -> None:
    assert _refusal(tmp_path, flags=flags) == f"flag --set {idle}: {idle} has no effect while {reason}"


def test_an_idle_key_is_found_across_sources(tmp_path: Path) -> None:
    message = _refusal(
        tmp_path, project="[learning]\nreplay_capacity = 9\n", flags={"learning.replay_share": 0}
    )
    assert message == (
        "project file altlas.toml:2: learning.replay_capacity has no effect while replay_share = 0"
    )


def test_idle_defaults_and_idle_keys_of_a_profile_are_no_mistake() -> None:
    off: dict[str, object] = {"learning.replay_share": 0.0, "generation.flat_share": 0.0}
    loaded = load(flags=off, environ={}, project_file=None, user_file=None, profile="tiny")
    assert loaded.settings.learning.replay_share == 0


def test_all_weights_zero_are_refused(tmp_path: Path) -> None:
    weights: dict[str, object] = {f"rewards.weights.{name}": 0 for name in ScorerWeights.model_fields}
    assert "give at least one scorer a weight" in _refusal(tmp_path, flags=weights)


def test_novelty_alone_is_no_score(tmp_path: Path) -> None:
    weights: dict[str, object] = {f"rewards.weights.{name}": 0 for name in ScorerWeights.model_fields}
    flags = weights | {"rewards.weights.novelty": 1.0}
    assert "give at least one scorer a weight" in _refusal(tmp_path, flags=flags)


def test_a_value_and_a_table_for_the_same_key_are_refused_not_merged(tmp_path: Path) -> None:
    message = _refusal(tmp_path, flags={"run": 3, "run.seed": 4})
    assert message == "flag --set run: run must be a table of keys, not 3"


@pytest.mark.parametrize("text", ["[run\nseed = 1", "a = 1\na = 2", "x = " + "[" * 5000])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str) -> None:
    assert _refusal(tmp_path, project=text).startswith("project file altlas.toml: not valid TOML: ")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "altlas.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load(flags={}, environ={}, project_file=path, user_file=None, profile=None)


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the project file .*nowhere.toml: No such file"):
        load(flags={}, environ={}, project_file=tmp_path / "nowhere.toml", user_file=None, profile=None)


@pytest.mark.parametrize("word", ["run.seed", "=3", " = 3"])
def test_set_without_key_and_value_is_wrong_use(word: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        assignments([word], Settings)


def test_stored_settings_of_another_version_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"do not fit this version: run\.sail"):
        restored({"run": {"sail": 1}})


def test_long_values_are_shortened_in_the_message(tmp_path: Path) -> None:
    assert len(_refusal(tmp_path, flags={"run.seed": "x" * 10_000})) < 200


def test_a_text_that_no_policy_reads_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    said = _refusal(
        tmp_path,
        project="[learning.feedback]\nremember = true\nerror_text = true",
        flags={"run.seed": 3},
    )
    assert said == (
        "project file altlas.toml:3: learning.feedback.error_text has no effect while the policy reads no such text: "
        "take policy.type lstm or transformer, with words for it"
    )


def test_a_run_to_start_from_is_named_by_its_number(tmp_path: Path) -> None:
    feedback = {"learning.feedback.remember": True, "learning.feedback.start_from": "@latest"}
    assert "must be the number of a run, as r12" in _refusal(tmp_path, flags=feedback)
