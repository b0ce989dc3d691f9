"""An experiment as its file says it: arms that differ in settings, seeds, and a budget that is the same for all.

configs/experiments/NAME.toml
    about, suite, seeds, max_attempts        what is asked, of which tasks, how often, for how long
    [arms.NAME]                              dotted settings; the first arm is what the others are compared with
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import NotFoundError, SettingsError
from altlas_agent.settings.load import load
from altlas_agent.settings.reading.tree import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.settings.run import Settings

_SUFFIX = ".toml"
Value = int | float | str | bool


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    suite: str
    seeds: tuple[int, ...]
    max_attempts: int
    arms: dict[str, dict[str, object]]


class Trial(NamedTuple):
    """One run of an experiment: an arm with one seed."""

    arm: str
    seed: int
    name: str
    settings: Settings


class Experiment(NamedTuple):
    """What is compared. `arms` holds settings by dotted names."""

    name: str
    about: str
    suite: str
    seeds: tuple[int, ...]
    max_attempts: int
    arms: dict[str, dict[str, object]]

    def trials(self) -> Iterator[Trial]:
        """All runs, the arms in turn, so that an experiment that is cut short has some of each."""
        for seed in self.seeds:
            for arm, changes in self.arms.items():
                yield Trial(arm, seed, f"{self.name}/{arm}/{seed}", self._settings(arm, changes, seed))

    def _settings(self, arm: str, changes: dict[str, object], seed: int) -> Settings:
        budget = {"run.seed": seed, "run.max_attempts": self.max_attempts, "run.max_time_s": 0.0}
        try:
            # What this machine's files or environment say must not come into a comparison.
            return load(
                flags=budget | changes, environ={}, project_file=None, user_file=None, profile=None
            ).settings
        except SettingsError as error:
            raise SettingsError(f"experiment {self.name}, arm {arm}: {error.message}") from error


def shipped() -> tuple[str, ...]:
    """The names of the experiments that come with AltLAS."""
    return tuple(resources.names("configs", "experiments", _SUFFIX))


def read(name_or_path: str) -> Experiment:
    """A shipped experiment, or the one in a file.

    Raises NotFoundError, or SettingsError that says what is wrong with the file, its arms included.
    """
    path = Path(name_or_path)
    if name_or_path in shipped():
        text = resources.read_text("configs", f"experiments/{name_or_path}{_SUFFIX}")
    elif path.suffix == _SUFFIX and path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        raise NotFoundError(
            "experiment", name_or_path, f"there are: {', '.join(shipped())}, or a .toml file of yours"
        )
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"experiment {name_or_path}: {error}") from error
    return _checked(path.stem, file)


def _checked(name: str, file: _File) -> Experiment:
    for problem, is_wrong in (
        ("needs at least one arm", not file.arms),
        ("needs at least one seed, and none twice", not file.seeds or len(set(file.seeds)) < len(file.seeds)),
        ("max_attempts must be at least 1: all arms have the same budget", file.max_attempts < 1),
    ):
        if is_wrong:
            raise SettingsError(f"experiment {name}: {problem}")
    arms = {
        arm: {".".join(key): value for key, value in flatten(changes)} for arm, changes in file.arms.items()
    }
    made = Experiment(name, file.about, file.suite, file.seeds, file.max_attempts, arms)
    for _ in made.trials():  # refuses bad settings of any arm before the first run starts
        pass
    return made
