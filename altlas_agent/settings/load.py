"""Flags, environment, files, profile and defaults become one checked object that knows its origins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_config_path
from pydantic import ValidationError

from altlas_agent.core.errors import SettingsError
from altlas_agent.resources import location, names
from altlas_agent.settings.reading import sources
from altlas_agent.settings.reading.check import merge
from altlas_agent.settings.reading.sources import DEFAULT, Flag, Origin, Source
from altlas_agent.settings.reading.tree import flatten
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Checked settings, where each dotted key came from, and the profile ("" for none)."""

    settings: Settings
    origins: Mapping[str, Origin]
    profile: str


def load(
    *,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    project_file: Path | None,
    user_file: Path | None,
    profile: str | None,
) -> Loaded:
    """Merge everything that was said: flag > environment > project file > user file > profile > default.

    `flags` maps dotted keys to values; wrap one in Flag to name its option. The profile is the one
    given here, else ALTLAS_PROFILE, else the key `profile` of the project or the user file.
    Raises SettingsError that lists every problem with its place; then nothing was applied.
    """
    user = sources.from_file("user file", user_file)
    project = sources.from_file("project file", project_file)
    environment = sources.from_environment(environ, Settings)
    chosen = profile or environ.get("ALTLAS_PROFILE") or _profile_of(project) or _profile_of(user)
    layers = [_read_profile(chosen), user, project, environment, sources.from_flags(flags)]
    settings, owners = merge(Settings, layers)
    origins = {
        ".".join(key): owners[key].origin(key) if key in owners else DEFAULT
        for key, _ in flatten(resolved(settings))
    }
    return Loaded(settings=settings, origins=origins, profile=chosen or "")


def load_here(assignments: Iterable[str], *, profile: str | None, flags: Mapping[str, Flag]) -> Loaded:
    """What a command does: the words after --set, its own options, and this process's surroundings."""
    return load(
        flags=sources.assignments(assignments, Settings) | dict(flags),
        environ=os.environ,
        project_file=project_file(os.environ),
        user_file=user_file(),
        profile=profile,
    )


def project_file(environ: Mapping[str, str]) -> Path | None:
    """The file ALTLAS_CONFIG names, which must exist, else ./altlas.toml where there is one."""
    named = environ.get("ALTLAS_CONFIG")
    if named:
        return Path(named).expanduser()
    return _if_present(Path("altlas.toml"))


def user_file() -> Path | None:
    """The user's settings for all projects, where there are any."""
    return _if_present(user_path())


def user_path() -> Path:
    """Where the user's settings for all projects lie, whether or not there are any."""
    return user_config_path("altlas") / "config.toml"


def resolved(settings: Settings) -> dict[str, object]:
    """All settings as plain JSON values, as stored with a run."""
    return settings.model_dump(mode="json")


def chosen(loaded: Loaded) -> dict[str, object]:
    """The settings that somebody said, by dotted keys: everything but the defaults."""
    values = flatten(resolved(loaded.settings))
    return {".".join(key): value for key, value in values if loaded.origins[".".join(key)] is not DEFAULT}


def restored(stored: Mapping[str, object]) -> Settings:
    """The inverse of resolved(). Raises SettingsError when another version wrote what this one lacks."""
    try:
        return Settings.model_validate(stored)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"the stored settings do not fit this version: {place}: {first['msg']}"
        ) from error


def _if_present(path: Path) -> Path | None:
    return path if path.is_symlink() or path.exists() else None


def _profile_of(source: Source) -> str | None:
    if source.profile is None or isinstance(source.profile, str):
        return source.profile
    place = source.origin(("profile",))
    raise SettingsError(f"{place}: profile must be the name of a profile, not {source.profile!r}")


def _read_profile(name: str | None) -> Source:
    if not name:
        return Source(kind="profile", counts=False)
    known = names("configs", "profiles", ".toml")
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        raise SettingsError(f"no profile {name!r}; {hint}")
    return sources.from_profile(name, location("configs", f"profiles/{name}.toml"))
