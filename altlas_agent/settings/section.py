"""What every section of the settings is made of: frozen, closed, strict, and aware of idle keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """The base of every section.

    The string under a field is its description. A section that stands in a union has a field `type`
    with a literal that no other member of the union uses.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """The keys that change nothing as this section stands, each with the reason; dotted ones lie in sections of it.

        `given` are the keys of this section that a user wrote; what is returned for others is ignored.
        A reason completes "has no effect ...", for example "while replay_share = 0".
        """
        return {}

    def changed(self, *keys: str, reason: str) -> dict[str, str]:
        """The reason for those of the keys that are not as they come, for `ineffective`.

        A file with every default in it is no mistake, so what is off by default may be named there.
        """
        defaults = {key: type(self).model_fields[key].default for key in keys}
        return {key: reason for key, default in defaults.items() if getattr(self, key) != default}
