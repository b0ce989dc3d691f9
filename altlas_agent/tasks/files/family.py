"""Task families: values drawn for the parameters of a file, and put into its texts.

Which split a draw belongs to follows from the drawn values alone, so no instance is ever in both.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from altlas_agent.tasks.schema import Parameter

    Value = int | str | list[int]
    Values = dict[str, Value]

Split = Literal["train", "unseen"]

UNSEEN_ONE_IN = 4
MAX_TRIES = 1_000

_KEPT = ("name", "parameters")


def draw(name: str, parameters: Mapping[str, Parameter], split: Split, *, index: int) -> Values | None:
    """The values of one instance: always the same for the same arguments.

    None when no draw of MAX_TRIES falls into the split: the parameters have too few values.
    """
    for attempt in range(MAX_TRIES):
        seed = blake2b(f"{name}\x00{split}\x00{index}\x00{attempt}".encode(), digest_size=8)
        random = Random(int.from_bytes(seed.digest(), "big"))  # not a secret
        values = {key: _value(random, parameters[key]) for key in sorted(parameters)}
        if split_of(values) == split:
            return values
    return None


def split_of(values: Values) -> Split:
    """Which split these values belong to: about one in UNSEEN_ONE_IN is unseen."""
    digest = blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).digest()
    return "train" if int.from_bytes(digest, "big") % UNSEEN_ONE_IN else "unseen"


def _value(random: Random, parameter: Parameter) -> Value:
    if parameter.choices is not None:
        return random.choice(parameter.choices)
    if parameter.list_ is not None:
        shape = parameter.list_
        return [random.randint(shape.from_, shape.to) for _ in range(random.randint(*shape.length))]
    assert parameter.from_ is not None, "the schema lets nothing else through"
    assert parameter.to is not None, "the schema lets nothing else through"
    return random.randint(parameter.from_, parameter.to)


def fill(tree: Mapping[str, JsonValue], values: Values) -> dict[str, JsonValue]:
    """The file with every `{name}` replaced; a text that is nothing but `{name}` becomes the value itself.

    Only names in `values` are replaced, so other braces of a program stay. Values are not searched again.
    """
    holes = _holes(values)
    return {key: below if key in _KEPT else _filled(below, values, holes) for key, below in tree.items()}


def unused(tree: Mapping[str, JsonValue], parameters: Mapping[str, Parameter]) -> list[str]:
    """The parameters that no text mentions."""
    texts = json.dumps({key: below for key, below in tree.items() if key not in _KEPT}, ensure_ascii=False)
    used = set(_holes(parameters).findall(texts)) if parameters else set[str]()
    return [name for name in parameters if name not in used]


def _holes(values: Mapping[str, object]) -> re.Pattern[str]:
    return re.compile(r"\{(" + "|".join(map(re.escape, values)) + r")\}")


def _filled(value: JsonValue, values: Values, holes: re.Pattern[str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _filled(below, values, holes) for key, below in value.items()}
    if isinstance(value, list):
        return [_filled(below, values, holes) for below in value]
    if not isinstance(value, str):
        return value
    whole = holes.fullmatch(value)
    return (
        cast("JsonValue", values[whole[1]])
        if whole
        else holes.sub(lambda match: _text(values[match[1]]), value)
    )


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)
