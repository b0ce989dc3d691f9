"""A pydantic error said again in the words of whoever wrote the key."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from altlas_agent.settings.reading.tree import leaf_keys, tag, unions, variants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from altlas_agent.settings.reading.sources import Source
    from altlas_agent.settings.reading.tree import Key
    from altlas_agent.settings.section import Section

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explains problems within one tree, in which these kinds were chosen for its unions."""

    root: type[Section]
    kinds: Mapping[Key, object]

    def of(self, source: Source, key: Key, detail: ErrorDetails) -> str:
        """What is wrong with a key, without the place: "run.seed must be ..., not 'x'"."""
        name = source.spell(key)
        match detail["type"]:
            case "extra_forbidden":
                return self._of_unknown(source, key, is_section=isinstance(detail["input"], dict))
            case "value_error":
                return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
            case "union_tag_invalid":
                known = detail.get("ctx", {})
                return f"{name} must be one of {known['expected_tags']}, not {known['tag']!r}"
            case "bool_type":
                must = "must be true or false"
            case "model_type" | "model_attributes_type" | "dict_type":
                must = "must be a table of keys"
            case _:
                must = detail["msg"].replace("Input should", "must")
        return f"{name} {must}, not {_short(detail['input'])}"

    def _of_unknown(self, source: Source, key: Key, *, is_section: bool) -> str:
        union = unions(self.root).get(key[:-1])
        if union is not None:
            return self._of_idle(source, key, union)
        noun = "section" if is_section else "setting"
        return f"unknown {noun} {source.spell(key)}{self._did_you_mean(source, key)}"

    def _of_idle(self, source: Source, key: Key, union: FieldInfo) -> str:
        owners = [repr(tag(each)) for each in variants(union) if key[-1] in each.model_fields]
        hint = f"; it belongs to type {' and '.join(owners)}" if owners else self._did_you_mean(source, key)
        return f"{source.spell(key)} has no effect with type {self.kinds[key[:-1]]!r}{hint}"

    def _did_you_mean(self, source: Source, key: Key) -> str:
        nearest = self._nearest(key, source.other_keys)
        return f"; did you mean {source.spell(nearest)}?" if nearest else ""

    def _nearest(self, key: Key, others: Iterable[Key]) -> Key | None:
        """The same name in another section, else a similar one beside it, else, at the top, anywhere."""
        name, leaves = key[-1], list(leaf_keys(self.root))
        same_name = [leaf for leaf in leaves if leaf[-1] == name]
        if len(same_name) == 1:
            return same_name[0]
        valid = {leaf[:length] for leaf in leaves for length in range(1, len(leaf) + 1)} | set(others)
        beside = {each[-1]: each for each in sorted(valid) if each[:-1] == key[:-1]}
        anywhere = {".".join(each): each for each in sorted(valid)}
        known = beside if len(key) > 1 else anywhere
        near = get_close_matches(name, known, n=1)
        return known[near[0]] if near else None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
