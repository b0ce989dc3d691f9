"""The settings as a TOML file in which every key is described: configs/default.toml is this."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from altlas_agent.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 106

_HEADER = """\
# Every setting of AltLAS with its default. Copy what you want to change into ./altlas.toml or into
# your own file (`altlas config path` shows where), or give it as --set section.key=value.
# This file is what `altlas config default` prints.
"""


def describe(settings: Section) -> str:
    """Every key with its value, the description as a comment above it."""
    return "\n".join([_HEADER, *_section(settings, ())]).rstrip() + "\n"


def _section(section: Section, above: tuple[str, ...]) -> Iterator[str]:
    below: list[tuple[str, Section]] = []
    for name in type(section).model_fields:
        value: object = getattr(section, name)
        if isinstance(value, Section):
            below.append((name, value))
        else:
            yield from _comment(section, name)
            yield f"{name} = {json.dumps(value)}"
            yield ""
    for name, inner in below:
        yield from _comment(section, name)
        yield f"[{'.'.join((*above, name))}]"
        yield ""
        yield from _section(inner, (*above, name))


def _comment(section: Section, name: str) -> Iterator[str]:
    description = type(section).model_fields[name].description or ""
    return (f"# {line}" for line in textwrap.wrap(description, _WIDTH))
