"""The published schema: valid, documented, and true of the shipped files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from altlas_agent import resources
from altlas_agent.tasks.schema import json_schema
from tests.tasks.examples import changed, family, function_task, stdout_task

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from tests.tasks.examples import Tree

FILES = sorted(resources.location("configs", "tasks").rglob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_shipped_file_keeps_the_schema(path: Path) -> None:
    jsonschema.validate(
        json.loads(path.read_text(encoding="utf-8")), json_schema(), jsonschema.Draft202012Validator
    )


@pytest.mark.parametrize(
    "tree", [stdout_task(), function_task(), family()], ids=["stdout", "function", "family"]
)
def test_the_schema_accepts_what_the_loader_accepts(tree: Tree) -> None:
    jsonschema.validate(tree, json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("nam", "x"),
        ("kind", "prints"),
        ("target_language", "cobol"),
        ("description", None),
        ("rung", "1"),
        ("tests.hidden.0.expect", 1),
        ("constraints.require.numbers", ["k"]),
        ("parameters.k", {"from": 1}),
        ("parameters.k", {"from": 1, "to": 2, "choices": [1]}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(place: str, value: JsonValue) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(family(), place, value), json_schema(), jsonschema.Draft202012Validator)


def test_every_key_is_described() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in [("task", schema), *definitions.items()]:
        assert isinstance(definition, dict)
        properties = definition.get("properties", {})
        assert isinstance(properties, dict)
        for key, described in properties.items():
            assert isinstance(described, dict)
            assert described.get("description"), f"{name}.{key} says nothing about itself"
