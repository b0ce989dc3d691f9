"""What `altlas doctor` finds, and how a probe says it."""

from __future__ import annotations

import enum

from altlas_agent.core.records import Record


class State(enum.StrEnum):
    """How a part of the machine is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(Record):
    """One line of the doctor; `remedy` says what to do, and is empty where all is well."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Check:
    return Check(name=name, state=State.OK, detail=detail)


def warn(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, state=State.WARN, detail=detail, remedy=remedy)


def fail(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, state=State.FAIL, detail=detail, remedy=remedy)
