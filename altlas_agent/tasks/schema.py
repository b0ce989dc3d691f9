"""The format of a task file: what may stand in it, and its published JSON schema."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from altlas_agent.core.records import Kind  # noqa: TC001 - pydantic reads it at run time
from altlas_agent.languages.tokens.maps import languages

MAX_INTEGER = 2**53
"""Whole numbers beyond this are not the same in every language."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Integer = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Source = Annotated[str, Field(min_length=1, max_length=20_000)]
Type = Literal["num", "str", "bool", "list", "words"]

# In a task family a number may be written "{a}"; it is checked after the value was put in its place.
Number = Annotated[
    float,
    Field(ge=-MAX_INTEGER, le=MAX_INTEGER),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\{[A-Za-z_]\w*\}$"}]}),
]


class Part(BaseModel):
    """The base of everything in a task file: frozen, closed and strict."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ParamFile(Part):
    """One argument of the function that a task asks for."""

    name: Identifier
    """The name that the program gives it."""

    type: Type
    """What it holds; `list` is a list of numbers, `words` a list of texts."""


class SignatureFile(Part):
    """The function that a task asks for."""

    name: Identifier
    """The name under which it is called."""

    params: Annotated[tuple[ParamFile, ...], Field(max_length=4)]
    """Its arguments."""

    returns: Type
    """What it returns."""


def _without_default(schema: dict[str, JsonValue]) -> None:
    """Leaving the key out is not the same as writing null."""
    del schema["default"]


class CaseFile(Part):
    """One test."""

    args: Annotated[tuple[JsonValue, ...], Field(max_length=4)] = ()
    """The arguments of the call; only where a function is asked for."""

    stdin: Annotated[str, Field(max_length=100_000)] = ""
    """What the program can read; only where it prints."""

    expected: JsonValue = Field(default=None, json_schema_extra=_without_default)
    """What must be returned, or the text that must be printed. Left out: what the reference gives."""


class TestsFile(Part):
    """The tests of a task."""

    visible: Annotated[tuple[CaseFile, ...], Field(max_length=100)] = ()
    """Tests that may be shown to whoever writes the program."""

    hidden: Annotated[tuple[CaseFile, ...], Field(max_length=100)] = ()
    """Tests that decide success; a function needs at least 3 with inputs that are not visible."""


class RulesFile(Part):
    """Things that a program must contain, or must not."""

    operators: tuple[str, ...] = ()
    """Operators, written as in Python: +, //, ==, and."""

    numbers: tuple[Number, ...] = ()
    """Number literals."""

    strings: tuple[str, ...] = ()
    """Text literals."""

    constructs: tuple[str, ...] = ()
    """loop, condition, function, return, assignment, list, import, or call:NAME."""


class ConstraintsFile(Part):
    """What a program must be made of, whatever it answers."""

    require: RulesFile = RulesFile()
    """What must be there."""

    forbid: RulesFile = RulesFile()
    """What must not be there."""

    max_tokens: int = Field(default=24, ge=3, le=400)
    """The most abstract tokens of a program."""


class PatternFile(Part):
    """A shape of source text that counts as valid."""

    regex: Annotated[str, Field(min_length=1, max_length=1_000)]
    """The regular expression, found anywhere in the text."""

    ignore_case: bool = False
    """Whether capital and small letters are the same."""

    ignore_whitespace: bool = True
    """Whether white space is taken out of the program first; the pattern is then written without."""


class LimitsFile(Part):
    """What one run of one program may use."""

    cpu_s: float = Field(default=1.0, gt=0, le=3600)
    """Seconds of processor time."""

    wall_s: float = Field(default=4.0, gt=0, le=3600)
    """Seconds on the clock."""

    memory_mb: int = Field(default=256, ge=16, le=65_536)
    """Megabytes of memory."""

    output_kb: int = Field(default=64, ge=1, le=65_536)
    """Kilobytes of output that are kept."""

    processes: int = Field(default=16, ge=1, le=4096)
    """Processes and threads at the same time."""

    tmp_mb: int = Field(default=32, ge=1, le=65_536)
    """Megabytes in /tmp."""

    files: int = Field(default=64, ge=16, le=65_536)
    """Files that may be open at once; 16 times as many may lie in /tmp."""


class ListParameter(Part):
    """Lists of whole numbers."""

    length: tuple[Annotated[int, Field(ge=0, le=100)], Annotated[int, Field(ge=0, le=100)]]
    """The least and the greatest length."""

    from_: Integer = Field(alias="from")
    """The least number in it."""

    to: Integer
    """The greatest number in it."""

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if self.from_ > self.to or self.length[0] > self.length[1]:
            raise ValueError("has no values: the first bound is above the second")
        return self


class Parameter(Part):
    """What a task family draws for one name: a number from a range, one of several values, or a list."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [*keys]} for keys in (("from", "to"), ("choices",), ("list",))]
        }
    )

    from_: Integer | None = Field(default=None, alias="from")
    """The least whole number."""

    to: Integer | None = None
    """The greatest whole number."""

    choices: Annotated[tuple[Integer | str, ...], Field(min_length=1, max_length=1_000)] | None = None
    """The values to choose from."""

    list_: ListParameter | None = Field(default=None, alias="list")
    """Which lists to draw."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if given not in ({"from_", "to"}, {"choices"}, {"list_"}) or given != self.model_fields_set:
            raise ValueError('needs "from" and "to", or "choices", or "list"')
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise ValueError(f"has no values: from {self.from_} is above to {self.to}")
        return self


Parameters = Annotated[dict[Identifier, Parameter], Field(max_length=16)]


class TaskFile(Part):
    """A task, or with `parameters` a family of tasks."""

    name: Name
    """What the task is called within its suite."""

    description: Annotated[str, Field(min_length=1, max_length=2_000)]
    """What the program must do. Its numbers and quoted texts are the literals that programs can use."""

    target_language: str
    """The language of the programs."""

    kind: Kind
    """Whether the program prints, or defines a function."""

    difficulty: float = Field(default=1.0, ge=0, le=1_000)
    """Orders the tasks of a rung."""

    rung: int = Field(default=1, ge=1, le=1_000)
    """Orders the tasks of a suite; lower ones come first."""

    signature: SignatureFile | None = None
    """The function; only, and always, for kind function."""

    tests: TestsFile
    """What a program is judged by."""

    constraints: ConstraintsFile = ConstraintsFile()
    """What a program must be made of."""

    patterns: Annotated[tuple[PatternFile, ...], Field(max_length=100)] = ()
    """Where given, the text of a program must fit one of these."""

    limits: LimitsFile = LimitsFile()
    """What a run of a program may use."""

    parameters: Parameters = {}
    """A family: values drawn for each instance. In every text, {a} stands for the value of a."""

    reference: Source
    """A program that solves the task."""

    cheats: Annotated[tuple[Source, ...], Field(max_length=100)] = ()
    """Programs that look right and must not succeed."""

    tokens: Annotated[str, Field(max_length=8_000)] = ""
    """The reference as abstract tokens: a proof that the task can be solved with them."""


class ParametersOnly(BaseModel):
    """The parameters of a task file, whatever the rest of it is like."""

    parameters: Parameters = {}


def json_schema() -> dict[str, JsonValue]:
    """The JSON schema (draft 2020-12) of a task file."""
    schema: dict[str, JsonValue] = TaskFile.model_json_schema()
    properties = schema["properties"]
    assert isinstance(properties, dict)
    target = properties["target_language"]
    assert isinstance(target, dict)
    target["enum"] = list(languages())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
