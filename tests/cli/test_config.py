"""`altlas config` shows what a run started here would work with."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from altlas_agent.cli.options import read_settings
from altlas_agent.resources import location, names
from altlas_agent.settings.load import resolved
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]


def test_show_writes_toml_that_means_the_settings(altlas: Altlas) -> None:
    done = altlas("config", "show", "--origin", "--set", "run.seed=7")
    assert (done.returncode, done.stderr) == (0, "")
    expected = resolved(Settings())
    expected["run"] = {**Settings().run.model_dump(), "seed": 7}
    assert tomllib.loads(done.stdout) == expected


def test_show_origin_names_the_place_of_each_value(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "altlas.toml").write_text("\n[tasks]\ngroup_size = 5\n", encoding="utf-8")
    (tmp_path / "config" / "altlas").mkdir(parents=True)
    (tmp_path / "config" / "altlas" / "config.toml").write_text('profile = "tiny"\n', encoding="utf-8")
    environ = {"ALTLAS_SANDBOX__WORKERS": "3"}
    done = altlas("config", "show", "--json", "--set", "run.seed=7", environ=environ)
    shown = json.loads(done.stdout)
    assert (shown["truncated"], shown["total"]) == (False, len(shown["rows"]))
    rows = {row["key"]: (row["value"], row["origin"]) for row in shown["rows"]}
    assert rows["run.seed"] == (7, "flag --set run.seed")
    assert rows["sandbox.workers"] == (3, "environment ALTLAS_SANDBOX__WORKERS")
    assert rows["tasks.group_size"] == (5, "project file altlas.toml:3")
    assert rows["policy.hidden"][1].startswith("profile tiny ")
    assert rows["run.staleness"] == (1, "default")


def test_validate_accepts_a_right_file(altlas: Altlas, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("run.seed = 3\n", encoding="utf-8")
    done = altlas("config", "validate", str(file), "--json")
    assert json.loads(done.stdout) == {"valid": True, "subject": str(file), "given": 1, "profile": ""}


def test_validate_refuses_a_wrong_file_with_its_line(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("\nrun.sed = 3\n", encoding="utf-8")
    done = altlas("config", "validate", "mine.toml")
    assert done.returncode == 78
    assert "mine.toml:2: unknown setting run.sed; did you mean run.seed?" in done.stderr


def test_validate_without_a_file_checks_what_a_run_would_read(altlas: Altlas, tmp_path: Path) -> None:
    assert altlas("config", "validate").returncode == 0
    (tmp_path / "altlas.toml").write_text("nonsense = 3\n", encoding="utf-8")
    assert altlas("config", "validate").returncode == 78
    assert altlas("config", "validate", environ={"ALTLAS_CONFIG": "gone.toml"}).returncode == 78


def test_path_says_where_settings_and_home_lie(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "altlas.toml").write_text("", encoding="utf-8")
    rows = json.loads(altlas("config", "path", "--json").stdout)["rows"]
    assert rows == [
        {"name": "project file", "path": str(tmp_path / "altlas.toml"), "exists": True},
        {"name": "user file", "path": str(tmp_path / "config" / "altlas" / "config.toml"), "exists": False},
        {"name": "home", "path": str(tmp_path / "home"), "exists": False},
    ]


def test_schema_describes_every_section_and_is_closed(altlas: Altlas) -> None:
    schema = json.loads(altlas("config", "schema").stdout)
    assert set(schema["properties"]) == {*Settings.model_fields, "profile"}
    tables = [schema, *schema["$defs"].values()]
    assert all(table["additionalProperties"] is False for table in tables)
    keys = [(name, key) for table in tables for name, key in table["properties"].items()]
    assert [name for name, key in keys if "description" not in key and "$ref" not in key] == []
    assert all(table["description"] for table in tables)


def test_default_prints_the_file_that_ships(altlas: Altlas) -> None:
    assert altlas("config", "default").stdout == location("configs", "default.toml").read_text(
        encoding="utf-8"
    )


def test_the_help_of_profile_names_every_profile_that_ships(altlas: Altlas) -> None:
    told = altlas("config", "show", "--help").stdout
    assert [name for name in names("configs", "profiles", ".toml") if name not in told] == []


def test_an_option_of_a_command_is_the_origin_of_its_setting(home: Path) -> None:
    options = {"run.seed": ("--seed", 7), "run.max_attempts": ("--max-attempts", None)}
    loaded = read_settings(profile=None, assignments=("run.seed=3", "run.staleness=2"), options=options)
    assert (loaded.settings.run.seed, str(loaded.origins["run.seed"])) == (7, "flag --seed")
    assert str(loaded.origins["run.staleness"]) == "flag --set run.staleness"
    assert str(loaded.origins["run.max_attempts"]) == "default"
