"""Merging sources into one checked tree, or one error that lists every problem with its place."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from altlas_agent.core.errors import SettingsError
from altlas_agent.settings.reading.explain import Explanation
from altlas_agent.settings.reading.sources import Source
from altlas_agent.settings.reading.tree import Key, key_of, leaf_keys, nest, tag, unions, variants
from altlas_agent.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    Owners = Mapping[Key, Source]

Tree = TypeVar("Tree", bound=Section)


def merge(root: type[Tree], sources: Sequence[Source]) -> tuple[Tree, dict[Key, Source]]:
    """The checked tree, and which source each given key came from. Weakest source first.

    Each source is checked on its own first, so a mistake is found even where a stronger source
    hides it. Raises SettingsError with every problem; then nothing was applied.
    """
    kinds = _chosen_kinds(root, sources)
    _refuse([problem for source in sources for problem in _problems_alone(root, source, kinds)])
    owners = _owners(root, sources, kinds)
    leaves = {(*key, "type"): kind for key, kind in kinds.items()}
    leaves |= {key: owner.values[key] for key, owner in owners.items()}
    details, tree = _validate(root, leaves)
    _refuse([_problem_together(Explanation(root, kinds), detail, owners) for detail in details])
    assert tree is not None
    _refuse(list(_idle_keys(tree, owners)))
    return tree, owners


def _validate(root: type[Tree], leaves: Mapping[Key, object]) -> tuple[list[ErrorDetails], Tree | None]:
    try:
        return [], root.model_validate(nest(leaves.items()))
    except ValidationError as error:
        return error.errors(include_url=False), None


def _chosen_kinds(
    root: type[Section], sources: Sequence[Source], otherwise: Mapping[Key, object] = MappingProxyType({})
) -> dict[Key, object]:
    """The `type` of every union: the strongest valid word, else `otherwise`, else the default."""
    kinds: dict[Key, object] = {}
    for key, field in unions(root).items():
        default: Section = field.get_default(call_default_factory=True)
        known = [tag(section) for section in variants(field)]
        said = [source.values.get((*key, "type")) for source in reversed(sources)]
        kinds[key] = next((kind for kind in said if kind in known), otherwise.get(key, tag(type(default))))
    return kinds


def _owners(root: type[Section], sources: Sequence[Source], kinds: Mapping[Key, object]) -> dict[Key, Source]:
    """Who has the last word on each key.

    Keys that a profile gives to one kind are defaults of that kind: they go when another is chosen.
    """
    owners: dict[Key, Source] = {}
    for source in sources:
        own = _chosen_kinds(root, [source])
        gone = () if source.counts else tuple(key for key, kind in own.items() if kinds[key] != kind)
        owners |= {key: source for key in source.values if not any(_is_below(key, union) for union in gone)}
    return owners


def _problems_alone(root: type[Section], source: Source, kinds: Mapping[Key, object]) -> Iterator[str]:
    """What is wrong with the keys of one source, whatever the others say.

    Keys that do not fit together are left for later: a stronger source may set one of them right.
    """
    own = _chosen_kinds(root, [source], kinds if source.counts else MappingProxyType({}))
    explanation = Explanation(root, own)
    leaves = {(*key, "type"): kind for key, kind in own.items()} | dict(source.values)
    for detail in _validate(root, leaves)[0]:
        key = _key(root, detail)
        is_given = any(_is_below(given, key) for given in source.values)
        if is_given and (detail["type"] != "value_error" or key in leaf_keys(root)):
            yield f"{source.origin(key)}: {explanation.of(source, key, detail)}"


def _problem_together(explanation: Explanation, detail: ErrorDetails, owners: Owners) -> str:
    """What is wrong only now that the sources are merged; names every key that takes part."""
    key = _key(explanation.root, detail)
    parties = {given: owner for given, owner in owners.items() if _is_below(given, key)}
    places = dict.fromkeys(str(owner.origin(given)) for given, owner in parties.items())
    source = next(iter(parties.values()), Source(kind="default"))
    return f"{', '.join(places) or 'default'}: {explanation.of(source, key, detail)}"


def _key(root: type[Section], detail: ErrorDetails) -> Key:
    key = key_of(root, detail["loc"])
    return (*key, "type") if detail["type"] == "union_tag_invalid" else key


def _is_below(key: Key, above: Key) -> bool:
    return key[: len(above)] == above


def _idle_keys(section: Section, owners: Owners, above: Key = ()) -> Iterator[str]:
    given = {key[len(above)]: key for key, owner in owners.items() if _is_below(key, above) and owner.counts}
    for name, reason in section.ineffective(frozenset(given)).items():
        idle = (*above, *name.split("."))
        keys = [key for key, owner in owners.items() if _is_below(key, idle) and owner.counts]
        if keys:
            key, owner = keys[-1], owners[keys[-1]]
            yield f"{owner.origin(key)}: {owner.spell(key)} has no effect {reason}"
    for name in type(section).model_fields:
        below: object = getattr(section, name)
        if isinstance(below, Section):
            yield from _idle_keys(below, owners, (*above, name))


def _refuse(problems: list[str]) -> None:
    if len(problems) == 1:
        raise SettingsError(problems[0])
    if problems:
        raise SettingsError("\n  ".join(["settings refused, nothing was applied", *problems]))
