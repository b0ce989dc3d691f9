"""A checked task file as the Task record that everyone speaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Case, Constraints, Limits, Param, Pattern, Signature, Task
from altlas_agent.languages.tokens.machine import Machine, inputs_of
from altlas_agent.languages.tokens.values import UNDEFINED, to_json
from altlas_agent.tasks.files.literals import numbers_of, strings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from altlas_agent.tasks.schema import CaseFile, ConstraintsFile, TaskFile


def to_task(suite: str, file: TaskFile, *, split: str, index: int) -> Task:
    key = f"{suite}/{file.name}"
    task = Task(
        id=f"{key}#{split}-{index}" if split else key,
        suite=suite,
        name=file.name,
        description=file.description,
        target_language=file.target_language,
        kind=file.kind,
        cases=tuple(_cases(file)),
        difficulty=file.difficulty,
        rung=file.rung,
        instance=index,
        signature=_signature(file),
        constraints=_constraints(file.constraints),
        patterns=tuple(Pattern(**pattern.model_dump()) for pattern in file.patterns),
        limits=Limits(**file.limits.model_dump()),
        numbers=numbers_of(file.description),
        strings=strings_of(file.description),
        reference=file.reference,
        cheats=file.cheats,
        tokens=file.tokens,
    )
    return (
        replace(task, cases=tuple(_answered(task, case) for case in task.cases)) if task.signature else task
    )


def _answered(task: Task, case: Case) -> Case:
    """A visible test shows what it wants, also where the file leaves that to the solution.

    Of hidden ones the worker finds it out: the reference decides, in the language of the task.
    """
    if case.hidden or case.expected or not task.tokens:
        return case
    try:
        wanted = Machine(tuple(task.tokens.split())).returned(inputs_of(task, case))
    except (*UNDEFINED, LanguageError):  # which a check of the task reports, with the place
        return case
    return replace(case, expected=to_json(wanted))


def _signature(file: TaskFile) -> Signature | None:
    if file.signature is None:
        return None
    params = tuple(Param(name=param.name, type=param.type) for param in file.signature.params)
    return Signature(name=file.signature.name, params=params, returns=file.signature.returns)


def _constraints(file: ConstraintsFile) -> Constraints:
    return Constraints(
        require_operators=file.require.operators,
        forbid_operators=file.forbid.operators,
        require_numbers=file.require.numbers,
        forbid_numbers=file.forbid.numbers,
        require_strings=file.require.strings,
        forbid_strings=file.forbid.strings,
        require_constructs=file.require.constructs,
        forbid_constructs=file.forbid.constructs,
        max_tokens=file.max_tokens,
    )


def _cases(file: TaskFile) -> Iterator[Case]:
    yield from (_case(case, hidden=False) for case in file.tests.visible)
    yield from (_case(case, hidden=True) for case in file.tests.hidden)


def _case(case: CaseFile, *, hidden: bool) -> Case:
    is_given = "expected" in case.model_fields_set
    return Case(
        args=_json(list(case.args)),
        stdin=case.stdin,
        expected=_json(case.expected) if is_given else "",
        hidden=hidden,
    )


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
