"""Settings that may change while a run goes on, between two of its steps."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from altlas_agent.core.errors import SettingsError
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

LIVE = frozenset(
    {
        "run.max_attempts",
        "run.max_time_s",
        "run.stop_when_solved",
        "run.checkpoint_every_s",
        "generation.temperature",
        "generation.flat_temperature",
        "learning.learning_rate",
        "learning.entropy_coef",
        "learning.clip_norm",
        "learning.replay_share",
        "learning.replay_weight",
    }
)
"""Dotted names. Everything else decides how parts are built, and needs a run of its own."""


def steered(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """The settings with these changes, by dotted names.

    Raises SettingsError for a name that is unknown or not live, and for a value that is refused.
    """
    tree = settings.model_dump(mode="json")
    for name, value in changes.items():
        if name not in LIVE:
            raise SettingsError(_refusal(name, tree))
        section, _, key = name.partition(".")
        tree[section][key] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def value_of(settings: Settings, name: str) -> object:
    """What a live setting is now."""
    section, _, key = name.partition(".")
    found: object = getattr(getattr(settings, section), key)
    return found


def _refusal(name: str, tree: Mapping[str, Mapping[str, object]]) -> str:
    section, _, key = name.partition(".")
    if key in tree.get(section, {}):
        return f"{name} cannot change while a run goes on; these can: {', '.join(sorted(LIVE))}"
    nearest = get_close_matches(name, sorted(LIVE), n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(sorted(LIVE))}"
    return f"no live setting {name!r}; {hint}"
