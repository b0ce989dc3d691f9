"""Reads configs/languages/execution.json: how programs of each language are started, or compiled first."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary
from altlas_agent.core.records import Limits

SOURCE, PROGRAM = "{source}", "{program}"
_COMPILE_LIMITS = Limits(cpu_s=20.0, wall_s=30.0, memory_mb=1024, output_kb=64, tmp_mb=64)


class Compilation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The step before the first run. `limits` are its own, whatever a task allows its programs."""

    command: tuple[str, ...]
    limits: Limits = _COMPILE_LIMITS
    artefact_kb: int = 16 * 1024


class Execution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a language runs. In commands `{source}` is the file with the program, `{program}` what was compiled.

    `names` are other names of the language, `package` is what brings the first word of the command (of
    the compiler, where there is one), `canary` is a program that prints 42 when it reads `canary_stdin`. `own_processes` are those
    that the engine starts for itself; an engine that reserves addresses it never uses sets
    `bounded_addresses` to false, and then only what it uses counts.
    """

    extension: str
    engine: str
    package: str
    command: tuple[str, ...]
    canary: str
    canary_stdin: str = ""
    extensions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    compile: Compilation | None = None
    own_processes: int = 0
    bounded_addresses: bool = True

    @property
    def tool(self) -> str:
        """The program that must be installed."""
        return (self.compile.command if self.compile else self.command)[0]


@cache
def executions(further: str = "") -> dict[str, Execution]:
    """Execution settings by language; `further` is a file of the same format that adds and replaces.

    Raises LanguageError when one of them cannot be read.
    """
    with boundary(LanguageError, "reading configs/languages/execution.json"):
        known = _decoded(resources.read_text("configs", "languages/execution.json"))
    if further:
        with boundary(LanguageError, f"reading {further}"):
            known |= _decoded(Path(further).read_text("utf-8"))
    return known


def _decoded(text: str) -> dict[str, Execution]:
    return msgspec.json.decode(text, type=dict[str, Execution])


def language_called(name: str, further: str = "") -> str:
    """The language that goes by this name; the name itself when there is none."""
    known = executions(further)
    return next((language for language, each in known.items() if name in (language, *each.names)), name)


def language_of(path: Path, further: str = "") -> str:
    """The language of a file by the end of its name, "" when it tells none."""
    ending = path.suffix.lower()
    known = executions(further)
    found = (name for name, each in known.items() if ending and ending in (each.extension, *each.extensions))
    return next(found, "")
