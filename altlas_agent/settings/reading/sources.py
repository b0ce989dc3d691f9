"""Where settings come from: files, environment and flags, each as one Source of dotted leaves."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from altlas_agent.core.errors import SettingsError, UsageError
from altlas_agent.settings.reading.locate import locate
from altlas_agent.settings.reading.tree import Key, flatten, leaf_keys, nest, takes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from altlas_agent.settings.section import Section

PREFIX = "ALTLAS_"
RESERVED = {
    "ALTLAS_HOME": "the folder that holds the database and the runs",
    "ALTLAS_PROFILE": "the profile that runs start from",
    "ALTLAS_CONFIG": "the settings file that is read in place of ./altlas.toml",
}
"""Names of the environment that are no settings, and what they are."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from, for example `project file altlas.toml:7`."""

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}".rstrip()


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Flag:
    """A value given on the command line, and the option that gave it."""

    option: str
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Everything that one place says, with where it says it.

    Keys of a source that does not `count` are defaults of another name: they may be idle.
    `other_keys` are valid in this source and no settings.
    """

    kind: str
    values: Mapping[Key, object] = field(default_factory=dict[Key, object])
    places: Mapping[Key, str] = field(default_factory=dict[Key, str])
    profile: object = None
    counts: bool = True
    other_keys: tuple[Key, ...] = ()

    def origin(self, key: Key) -> Origin:
        """Where a key is said; failing that the nearest table around it, or all keys below it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return Origin(self.kind, self.places[key[:length]])
        below = [place for each, place in self.places.items() if each[: len(key)] == key]
        return Origin(self.kind, ", ".join(below))

    def spell(self, key: Key) -> str:
        """The key as it is written in this source."""
        return variable(key) if self.kind == "environment" else ".".join(key)


def from_file(kind: str, path: Path | None) -> Source:
    """Read a TOML file, whose key `profile` may name a profile; None is an empty source.

    Raises SettingsError when the file is missing, unreadable or not TOML.
    """
    if path is None:
        return Source(kind=kind)
    tree, places = _read_toml(kind, path)
    profile = tree.pop("profile", None)
    return Source(
        kind=kind, values=dict(flatten(tree)), places=places, profile=profile, other_keys=(("profile",),)
    )


def from_profile(name: str, path: Path) -> Source:
    """Read a profile: a file of overrides that names no profile itself."""
    kind = f"profile {name}"
    tree, places = _read_toml(kind, path)
    return Source(kind=kind, values=dict(flatten(tree)), places=places, counts=False)


def from_environment(environ: Mapping[str, str], root: type[Section]) -> Source:
    """Read ALTLAS_SECTION__KEY variables; every other ALTLAS_ name but the reserved ones is unknown."""
    names = {name for name in environ if name.startswith(PREFIX) and name not in RESERVED}
    keys = {_key(name): name for name in sorted(names)}
    given = {key: _typed(root, key, environ[name]) for key, name in keys.items()}
    return Source(
        kind="environment", values=_leaves(given), places=keys, other_keys=tuple(map(_key, RESERVED))
    )


def from_flags(flags: Mapping[str, object]) -> Source:
    """Read dotted keys; a Flag names its option, any other value came from --set."""
    given: dict[Key, object] = {}
    places: dict[Key, str] = {}
    for name, value in flags.items():
        key = tuple(name.split("."))
        given[key] = value.value if isinstance(value, Flag) else value
        places[key] = value.option if isinstance(value, Flag) else f"--set {name}"
    return Source(kind="flag", values=_leaves(given), places=places)


def assignments(texts: Iterable[str], root: type[Section]) -> dict[str, object]:
    """Read `key=value` words: dotted keys, values in TOML syntax or bare text. The last word wins."""
    flags: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set needs KEY=VALUE, for example run.seed=7, not {text!r}")
        name = name.strip()
        flags[name] = _typed(root, tuple(name.split(".")), value)
    return flags


def variable(key: Key) -> str:
    """The name of a key in the environment: ALTLAS_LEARNING__LEARNING_RATE."""
    return PREFIX + "__".join(key).upper()


def _key(name: str) -> Key:
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def _read_toml(kind: str, path: Path) -> tuple[dict[str, object], dict[Key, str]]:
    try:
        text = path.read_text(encoding="utf-8")
        tree: dict[str, object] = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read the {kind} {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{kind} {path}: not valid TOML: {error}") from error
    return tree, {key: f"{path}:{line}" for key, line in locate(text).items()}


def _leaves(given: Mapping[Key, object]) -> dict[Key, object]:
    """The leaves below keys of any depth, inline tables included."""
    leaves = {
        (*key[:-1], *below): value
        for key, table in given.items()
        for below, value in flatten({key[-1]: table})
    }
    return dict(flatten(nest(leaves.items())))


def _typed(root: type[Section], key: Key, text: str) -> object:
    leaf = leaf_keys(root).get(key)
    try:
        table: dict[str, object] = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = table["value"]
    is_one_value = len(table) == 1
    if not is_one_value or (leaf is not None and takes_text(leaf) and not isinstance(value, str)):
        return text
    return value
