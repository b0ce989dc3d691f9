"""Walking a tree of sections: its keys, its unions, and values as dotted leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from altlas_agent.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic.fields import FieldInfo

Key = tuple[str, ...]
Variants = tuple[type[Section], ...]


def variants(field: FieldInfo) -> Variants:
    """The sections a field may hold: none for a plain value, several for a union told apart by `type`."""
    candidates = get_args(field.annotation) or (field.annotation,)
    return tuple(each for each in candidates if isinstance(each, type) and issubclass(each, Section))


def tag(section: type[Section]) -> str:
    """The `type` that a member of a union answers to; "" outside unions."""
    field = section.model_fields.get("type")
    return str(field.default) if field else ""


def unions(root: type[Section], above: Key = ()) -> dict[Key, FieldInfo]:
    """Every field that chooses its section by `type`, also where there is only one kind so far.

    A union inside a member of a union is not looked for: settings do not nest that deep.
    """
    found: dict[Key, FieldInfo] = {}
    for name, field in root.model_fields.items():
        for section in variants(field):
            if tag(section):
                found[(*above, name)] = field
            else:
                found |= unions(section, (*above, name))
    return found


def leaf_keys(root: type[Section]) -> dict[Key, FieldInfo]:
    """Every key that holds a plain value, those of all kinds of a union together."""
    found: dict[Key, FieldInfo] = {}
    for name, field in root.model_fields.items():
        if not variants(field):
            found[(name,)] = field
        for section in variants(field):
            found |= {(name, *key): leaf for key, leaf in leaf_keys(section).items()}
    return found


def takes_text(field: FieldInfo) -> bool:
    """Whether every value of the field is text, so that a bare 3.11 means "3.11"."""
    options = get_args(field.annotation)
    return field.annotation is str or (bool(options) and all(isinstance(each, str) for each in options))


def flatten(values: Mapping[str, object], above: Key = ()) -> Iterator[tuple[Key, object]]:
    """The leaves of nested tables; a table without keys is a leaf too, so that nothing is lost."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flatten(cast("dict[str, object]", value), (*above, name))
        else:
            yield (*above, name), value


def nest(leaves: Iterable[tuple[Key, object]]) -> dict[str, object]:
    """The inverse of flatten(). A plain value that stands where others need a table hides them."""
    tree: dict[str, object] = {}
    for key, value in sorted(leaves, key=lambda leaf: len(leaf[0])):
        table = _table(tree, key[:-1])
        if table is not None:
            table[key[-1]] = {} if value == {} else value
    return tree


def _table(tree: dict[str, object], key: Key) -> dict[str, object] | None:
    """The table at a key, made on the way; None when a plain value is in the way."""
    for part in key:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return None
        tree = cast("dict[str, object]", below)
    return tree


def key_of(root: type[Section], place: tuple[int | str, ...]) -> Key:
    """The key a pydantic error points at: its place without the names of chosen union members."""
    key: Key = ()
    choice: Variants = (root,)
    for part in place:
        chosen = [section for section in choice if tag(section) == part] if len(choice) > 1 else []
        if chosen:
            choice = tuple(chosen)
            continue
        key = (*key, str(part))
        field = choice[0].model_fields.get(str(part)) if choice else None
        choice = variants(field) if field else ()
    return key
