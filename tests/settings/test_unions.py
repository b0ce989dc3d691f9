"""A section chosen by `type`: keys of another kind are refused, a profile gives way to another kind."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from altlas_agent.core.errors import SettingsError
from altlas_agent.settings.reading.check import merge
from altlas_agent.settings.reading.sources import Source, from_flags
from altlas_agent.settings.reading.tree import Key, leaf_keys
from altlas_agent.settings.section import Section


class Sail(Section):
    type: Literal["sail"] = "sail"
    cloth: float = 1.0


class Motor(Section):
    type: Literal["motor"] = "motor"
    power: int = Field(default=5, ge=1)


class Boat(Section):
    drive: Annotated[Sail | Motor, Field(discriminator="type")] = Sail()
    length: int = 3


def _flags(**values: object) -> Source:
    return from_flags({name.replace("__", "."): value for name, value in values.items()})


def _profile(values: dict[Key, object]) -> Source:
    return Source(kind="profile p", values=values, counts=False)


def test_keys_of_all_kinds_are_known() -> None:
    assert set(leaf_keys(Boat)) == {("drive", "type"), ("drive", "cloth"), ("drive", "power"), ("length",)}


def test_the_type_chooses_the_section() -> None:
    boat, _ = merge(Boat, [_flags(drive__type="motor", drive__power=7)])
    assert boat.drive == Motor(power=7)


def test_without_a_type_the_default_kind_stays() -> None:
    boat, _ = merge(Boat, [_flags(drive__cloth=2.0)])
    assert boat.drive == Sail(cloth=2.0)


def test_the_type_may_come_from_another_source() -> None:
    boat, _ = merge(Boat, [_flags(drive__power=9), _flags(drive__type="motor")])
    assert boat.drive == Motor(power=9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"drive__power": 7}, "drive.power has no effect with type 'sail'; it belongs to type 'motor'"),
        (
            {"drive__type": "motor", "drive__cloth": 2.0},
            "drive.cloth has no effect with type 'motor'; it belongs to type 'sail'",
        ),
        ({"drive__clothe": 2.0}, "drive.clothe has no effect with type 'sail'; did you mean drive.cloth?"),
        ({"drive__type": "oar"}, "drive.type must be one of 'sail', 'motor', not 'oar'"),
        (
            {"drive__type": "motor", "drive__power": 0},
            "drive.power must be greater than or equal to 1, not 0",
        ),
    ],
)
def test_what_the_chosen_kind_does_not_take_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        merge(Boat, [_flags(**values)])
    assert caught.value.message.endswith(f": {said}")


def test_a_key_that_a_stronger_type_makes_idle_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"drive\.cloth has no effect with type 'motor'"):
        merge(Boat, [_flags(drive__type="sail", drive__cloth=2.0), _flags(drive__type="motor")])


def test_a_wrong_type_blames_only_the_source_that_gave_it() -> None:
    with pytest.raises(SettingsError) as caught:
        merge(Boat, [_flags(drive__cloth=2.0), _flags(drive__type="oar")])
    assert (
        caught.value.message == "flag --set drive.type: drive.type must be one of 'sail', 'motor', not 'oar'"
    )


def test_keys_of_a_profile_go_when_another_kind_is_chosen() -> None:
    profile = _profile({("drive", "cloth"): 9.0, ("length",): 8})
    boat, owners = merge(Boat, [profile, _flags(drive__type="motor")])
    assert (boat.drive, boat.length) == (Motor(), 8)
    assert ("drive", "cloth") not in owners
