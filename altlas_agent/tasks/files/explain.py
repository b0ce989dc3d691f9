"""What pydantic says about a task file, as problems with the place and the nearest valid key."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

from altlas_agent.tasks.files.reading import Problem, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    Model = type[BaseModel]

_LONGEST_VALUE = 60


def explained(root: Model, error: ValidationError) -> Iterator[Problem]:
    """One problem for each complaint about data that `root` should describe."""
    for detail in error.errors(include_url=False):
        path = _path(detail)
        yield Problem(place_of(path), _text(root, path, detail))


def _path(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Without the names that pydantic gives to members of unions and to the keys of mappings."""
    return tuple(part for part in detail["loc"] if part not in ("[key]", "int", "str", "constrained-int"))


def _text(root: Model, path: tuple[int | str, ...], detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"unknown key{_nearest(_model_at(root, path[:-1]), str(path[-1]))}"
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case "too_long" | "string_too_long":
            return f"must have at most {detail.get('ctx', {})['max_length']} {_counted(detail)}"
        case "too_short" | "string_too_short":
            return f"must have at least {detail.get('ctx', {})['min_length']} {_counted(detail)}"
        case "model_type" | "dict_type":
            must = "must be an object"
        case "tuple_type":
            must = "must be a list"
        case "bool_type":
            must = "must be true or false"
        case "string_pattern_mismatch":
            must = _pattern(detail.get("ctx", {}).get("pattern", ""))
        case _:
            must = detail["msg"].replace("Input should", "must")
    return f"{must}, not {_short(detail['input'])}"


def _counted(detail: ErrorDetails) -> str:
    return "characters" if detail["type"].startswith("string") else "items"


def _pattern(pattern: str) -> str:
    if "-" in pattern.replace("A-Z", "").replace("a-z", "").replace("0-9", ""):
        return "must be small letters, digits and single hyphens"
    return "must be a name: letters, digits and '_', no digit first"


def _model_at(root: Model, path: tuple[int | str, ...]) -> Model | None:
    """The model whose object stands at `path`."""
    found: Model | None = root
    for part in path:
        if found is None:
            return None
        if isinstance(part, str):
            fields = {field.alias or name: field for name, field in found.model_fields.items()}
            if part in fields:
                found = _model_in(fields[part].annotation)
    return found


def _model_in(annotation: object) -> Model | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _nearest(model: Model | None, key: str) -> str:
    if model is None:
        return ""
    known = [field.alias or name for name, field in model.model_fields.items()]
    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
