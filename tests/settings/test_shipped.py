"""Every settings file that ships is right, complete and says what it does."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from altlas_agent.resources import location, names, read_text
from altlas_agent.settings.describe import describe
from altlas_agent.settings.load import load, resolved
from altlas_agent.settings.reading.tree import flatten, leaf_keys
from altlas_agent.settings.run import Settings

PROFILES = names("configs", "profiles", ".toml")


def test_the_shipped_defaults_are_the_defaults_of_the_code() -> None:
    assert tomllib.loads(read_text("configs", "default.toml")) == resolved(Settings())


def test_the_shipped_defaults_are_what_the_command_prints() -> None:
    expected = describe(Settings())
    assert read_text("configs", "default.toml") == expected, "altlas config default > configs/default.toml"


def test_the_shipped_defaults_are_accepted_as_a_project_file() -> None:
    path = location("configs", "default.toml")
    loaded = load(flags={}, environ={}, project_file=path, user_file=None, profile=None)
    assert loaded.settings == Settings()
    assert all(origin.kind == "project file" for origin in loaded.origins.values())


@pytest.mark.parametrize("key", leaf_keys(Settings), ids=".".join)
def test_a_setting_has_a_sentence_that_describes_it(key: tuple[str, ...]) -> None:
    assert (leaf_keys(Settings)[key].description or "").endswith(".")


def test_profiles_are_there() -> None:
    assert set(PROFILES) >= {"tiny", "laptop", "gpu"}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_accepted_and_each_of_its_keys_changes_something(name: str) -> None:
    loaded = load(flags={}, environ={}, project_file=None, user_file=None, profile=name)
    overrides = dict(flatten(tomllib.loads(read_text("configs", f"profiles/{name}.toml"))))
    defaults = dict(flatten(resolved(Settings())))
    assert overrides
    assert dict(flatten(resolved(loaded.settings))) == defaults | overrides
    assert [key for key, value in overrides.items() if value == defaults[key]] == []


@pytest.mark.parametrize("name", PROFILES)
def test_no_key_of_a_profile_is_idle_in_the_profile_itself(name: str) -> None:
    path = location("configs", f"profiles/{name}.toml")
    load(flags={}, environ={}, project_file=path, user_file=None, profile=None)


def test_settings_are_read_without_torch() -> None:
    code = "import sys, altlas_agent.settings.load; print(sorted({'torch', 'numpy', 'sqlmodel'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    assert found.stdout.strip() == "[]"


_ROOT = location("altlas_agent").parent
