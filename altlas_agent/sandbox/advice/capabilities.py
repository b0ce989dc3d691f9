"""Reads configs/capabilities.json: what it means when a program names a module or calls a function."""

from __future__ import annotations

from functools import cache

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import SandboxError, boundary
from altlas_agent.core.records import Finding, Severity

_Names = dict[str, dict[str, tuple[str, ...]]]


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program can do, in words that follow its name, and how much that matters."""

    severity: Severity
    does: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    capabilities: dict[str, Capability]
    modules: _Names
    calls: _Names


class Capabilities:
    """The lists of one language, by name."""

    def __init__(self, language: str) -> None:
        file = _file()
        self._about = file.capabilities
        self._modules = _by_name(file, file.modules.get(language, {}))
        self._calls = _by_name(file, file.calls.get(language, {}))

    def of_module(self, name: str, line: int, column: int) -> Finding | None:
        """What naming this module means; None for one that is in no list."""
        return self._finding(self._modules.get(name), "import", name, (line, column))

    def of_call(self, name: str, line: int, column: int) -> Finding | None:
        """The same for a call of a function, whose name may have dots."""
        return self._finding(self._calls.get(name), "call", name, (line, column))

    def _finding(self, kind: str | None, how: str, name: str, place: tuple[int, int]) -> Finding | None:
        if kind is None:
            return None
        known = self._about[kind]
        return Finding(
            rule=f"{how}-{kind}",
            severity=known.severity,
            line=place[0],
            column=place[1],
            message=f"{name} {known.does}",
        )


@cache
def capabilities(language: str) -> Capabilities:
    """The lists of a language; empty ones when the file knows nothing of it."""
    return Capabilities(language)


@cache
def _file() -> _File:
    with boundary(SandboxError, "reading configs/capabilities.json"):
        file = msgspec.json.decode(resources.read_text("configs", "capabilities.json"), type=_File)
    used = {kind for lists in (*file.modules.values(), *file.calls.values()) for kind in lists}
    if strays := sorted(used - set(file.capabilities)):
        raise SandboxError(f"configs/capabilities.json: {strays[0]!r} is used but not described")
    return file


def _by_name(file: _File, lists: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Name -> capability; of two the more severe."""
    ranked = sorted(lists, key=lambda kind: file.capabilities[kind].severity.rank)
    return {name: kind for kind in ranked for name in lists[kind]}
