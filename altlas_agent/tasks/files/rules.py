"""What must hold between the parts of a task file, beyond the shape of each."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING

from altlas_agent.core.records import Kind
from altlas_agent.languages.tokens.maps import languages
from altlas_agent.tasks.files.literals import numbers_of
from altlas_agent.tasks.files.reading import Problem
from altlas_agent.tasks.schema import MAX_INTEGER, CaseFile, SignatureFile, TaskFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import JsonValue

LEAST_HIDDEN = 3

_JAVASCRIPT = frozenset(
    re.findall(
        r"\w+",
        """
        abstract arguments await boolean break case catch class const continue debugger default delete do else
        enum eval export extends false finally for function if implements import in instanceof interface let
        new null package private protected public return static super switch this throw true try typeof
        undefined var void while with yield NaN Infinity
        Array Boolean JSON Math Number Object Set String console globalThis process require module exports
        """,
    )
)
_RESERVED = _JAVASCRIPT | frozenset(keyword.kwlist) | frozenset(dir(builtins))
_OURS = re.compile(r"v\d+(_.*)?|.*_")


def broken_rules(file: TaskFile) -> Iterator[Problem]:
    """Every rule that a well-formed file breaks, with the place."""
    if file.target_language not in languages():
        known = ", ".join(languages())
        yield Problem("target_language", f"no language {file.target_language!r}; there are: {known}")
    if any(abs(number) > MAX_INTEGER for number in numbers_of(file.description)):
        yield Problem(
            "description", f"holds a number beyond {MAX_INTEGER}, which not every language can tell apart"
        )
    yield from _bad_patterns(file)
    if file.signature is not None:
        yield from _bad_names(file.signature)
    if file.kind is Kind.FUNCTION:
        yield from _function_rules(file)
    else:
        yield from _stdout_rules(file)


def _bad_patterns(file: TaskFile) -> Iterator[Problem]:
    for place, pattern in enumerate(file.patterns):
        try:
            re.compile(pattern.regex)
        except (re.error, RecursionError, OverflowError) as error:
            yield Problem(f"patterns[{place}].regex", f"is no regular expression: {error}")


def _bad_names(signature: SignatureFile) -> Iterator[Problem]:
    names = {"signature.name": signature.name}
    names |= {f"signature.params[{place}].name": param.name for place, param in enumerate(signature.params)}
    seen: set[str] = set()
    for place, name in names.items():
        if name in _RESERVED:
            yield Problem(place, f"{name!r} has a meaning of its own in Python or JavaScript")
        elif _OURS.fullmatch(name):
            yield Problem(
                place, f"{name!r} could be a name that programs give: no v0, v1, ..., no '_' at the end"
            )
        elif name in seen:
            yield Problem(place, f"{name!r} is the name of two things")
        seen.add(name)


def _function_rules(file: TaskFile) -> Iterator[Problem]:
    if file.signature is None:
        yield Problem(
            "signature", 'kind "function" needs one: {"name": ..., "params": [...], "returns": ...}'
        )
        return
    for place, case in _cases(file):
        yield from _function_case(file.signature, place, case)
    seen = {repr(case.args) for case in file.tests.visible}
    unseen = {repr(case.args) for case in file.tests.hidden} - seen
    if len(unseen) < LEAST_HIDDEN:
        found = f"{len(unseen)} inputs that are not visible"
        yield Problem("tests.hidden", f"a function needs hidden tests with {LEAST_HIDDEN}, here are {found}")


def _function_case(signature: SignatureFile, place: str, case: CaseFile) -> Iterator[Problem]:
    if "stdin" in case.model_fields_set:
        yield Problem(f"{place}.stdin", 'only a task of kind "stdout" reads')
    if len(case.args) != len(signature.params):
        wanted = f"{len(signature.params)} arguments, as the signature says"
        yield Problem(f"{place}.args", f"must hold {wanted}, not {len(case.args)}")
        return
    for number, (param, value) in enumerate(zip(signature.params, case.args, strict=True)):
        if not _FITS[param.type](value):
            yield Problem(f"{place}.args[{number}]", _must_be(param.type, value))
    if "expected" in case.model_fields_set and not _FITS[signature.returns](case.expected):
        yield Problem(f"{place}.expected", _must_be(signature.returns, case.expected))


def _stdout_rules(file: TaskFile) -> Iterator[Problem]:
    if file.signature is not None:
        yield Problem("signature", 'only a task of kind "function" has one')
    if not file.tests.visible and not file.tests.hidden:
        yield Problem("tests", "at least one test is needed")
    for place, case in _cases(file):
        if "args" in case.model_fields_set:
            yield Problem(f"{place}.args", 'only a task of kind "function" is called')
        if "expected" in case.model_fields_set and not isinstance(case.expected, str):
            yield Problem(f"{place}.expected", _must_be("str", case.expected))


def _cases(file: TaskFile) -> Iterator[tuple[str, CaseFile]]:
    yield from ((f"tests.visible[{place}]", case) for place, case in enumerate(file.tests.visible))
    yield from ((f"tests.hidden[{place}]", case) for place, case in enumerate(file.tests.hidden))


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _all(value: JsonValue, fits: Callable[[JsonValue], bool]) -> bool:
    return isinstance(value, list) and all(map(fits, value))


_FITS: dict[str, Callable[[JsonValue], bool]] = {
    "num": _is_number,
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "list": lambda value: _all(value, _is_number),
    "words": lambda value: _all(value, lambda item: isinstance(item, str)),
}
_NOUNS = {
    "num": f"a number (num) of at most {MAX_INTEGER}",
    "str": "a text (str)",
    "bool": "true or false (bool)",
    "list": "a list of numbers (list)",
    "words": "a list of texts (words)",
}


def _must_be(wanted: str, value: JsonValue) -> str:
    shown = repr(value)
    return f"must be {_NOUNS[wanted]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
