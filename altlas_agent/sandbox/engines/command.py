"""Runs any language that settings describe: a command on a file, after a compiler where there is one.

worker                              jail of the compiler          jail of the program
is this source compiled already? -> compiles, hands out the file
keeps it by its hash             ----------------------------->   writes the file, runs it, waits for it
reads streams and wait status    <-----------------------------   ends, and with it all it started
"""

from __future__ import annotations

import shutil
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.languages.execution import PROGRAM, SOURCE, Execution
from altlas_agent.sandbox import filters
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.cold import Files, OneShot
from altlas_agent.sandbox.engines.artefacts import Artefacts
from altlas_agent.sandbox.engines.interpreters import Engine
from altlas_agent.sandbox.engines.tools import stamp
from altlas_agent.sandbox.jail import Jailer, Launch
from altlas_agent.sandbox.runner import Conditions, internal, refused
from altlas_agent.sandbox.walls.groups import Groups

_LAUNCH_PY = Path(__file__).parents[1] / "inside" / "launch.py"
_READ_ONLY, _EXECUTABLE = 0o444, 0o555
_SCRATCH_FILES = 4
"""How much larger than its artefact any file of a compiler may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One command, what it finds and what it makes."""

    command: tuple[str, ...]
    files: dict[str, tuple[int, bytes]]
    limits: Limits
    stdin: str = ""
    artefact_bytes: int = 0


class Commands:
    """A fresh jail per program, and another one for its compiler."""

    def __init__(
        self, jailer: Jailer, harness: Engine, tool: Engine, *, language: str, execution: Execution
    ) -> None:
        """`harness` is the Python that starts the commands inside."""
        self.artefacts = Artefacts()
        self._jailer, self._harness, self._tool = jailer, harness, tool
        self._language, self._execution = language, execution
        self._groups = Groups()
        layers = jailer.layers(*self._groups.layers)
        self._conditions = Conditions(rung=jailer.rung, layers=layers, engine=execution.engine)

    def alive(self) -> str:
        """There is nothing to lose between two programs."""
        return f"{self._language}:{self._conditions.rung}"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """Compiles when it must; what does not compile is a COMPILE_ERROR, or the limit that it broke."""
        if program.entry or program.calls:
            return refused(f"{self._language} programs answer no calls; they read standard input")
        files = {self._source: (_READ_ONLY, program.code.encode())}
        if self._execution.compile is not None:
            built = self._built(program)
            if isinstance(built, RunResult):
                return built
            files = {"program": (_EXECUTABLE, built)}
        step = _Step(command=self._execution.command, files=files, limits=limits, stdin=program.stdin)
        return self._take(step)[0]

    def close(self) -> None:
        """No process outlives a run."""
        self._groups.close()

    @property
    def _source(self) -> str:
        return f"program{self._execution.extension}"

    def _built(self, program: Program) -> bytes | RunResult:
        compilation = self._execution.compile
        assert compilation is not None
        key = Artefacts.key(program.code, stamp(self._tool), compilation.command)
        known = self.artefacts.get(key)
        if known is not None:
            return known
        step = _Step(
            command=compilation.command,
            files={self._source: (_READ_ONLY, program.code.encode())},
            limits=compilation.limits,
            artefact_bytes=compilation.artefact_kb * 1024,
        )
        result, artefact = self._take(step)
        if result.status is not Status.SUCCESS:
            return _not_compiled(result)
        if not 0 < len(artefact) <= step.artefact_bytes:
            reason = f"the compiler made no file of at most {step.artefact_bytes} bytes\n".encode()
            return _not_compiled(msgspec.structs.replace(result, stderr=result.stderr + reason))
        self.artefacts.put(key, artefact)
        return artefact

    def _take(self, step: _Step) -> tuple[RunResult, bytes]:
        """What one command showed, and what it made."""
        with ExitStack() as stack:
            # In the reduced jail it begins in its own folder, which has no fixed name.
            folder = "." if self._jailer.reduced else "/tmp"
            if self._jailer.bare:
                folder = stack.enter_context(TemporaryDirectory(prefix="altlas-", ignore_cleanup_errors=True))
            try:
                launch = partial(self._launch, step=step)
                process = OneShot(self._jailer, self._conditions, launch, groups=self._groups)
            except SandboxError as error:
                return internal(error.message, self._conditions), b""
            program = Program(language=self._language, code="", stdin=step.stdin)
            most = step.artefact_bytes + 1 if step.artefact_bytes else 0
            result = process.run(program, step.limits, self._request(step, folder), artefact_bytes=most)
            return result, process.artefact

    def _launch(self, files: Files, step: _Step) -> Launch:
        path = str(_LAUNCH_PY) if self._jailer.bare else "/sbx/launch.py"
        options = ("-s", "-P", "-S", "-B", "-X", "utf8")
        own_bytes = sum(len(content) for _, content in step.files.values())
        both = dict.fromkeys((*self._harness.folders, *self._tool.folders))
        return Launch(
            engine=Engine(path=self._harness.path, folders=tuple(both)),
            command=(self._harness.path, *options, path, *map(str, files.harness)),
            files={"/sbx/launch.py": _LAUNCH_PY.read_bytes()},
            filter=filters.whole(),
            stdin=files.stdin,
            stdout=files.stdout,
            stderr=files.stderr,
            inherit=files.harness,
            leads=not self._jailer.is_direct,
            tmp_bytes=allowed.bounds(step.limits).tmp_bytes + own_bytes,
        )

    def _request(self, step: _Step, folder: str) -> bytes:
        # The harness counts as well.
        processes = self._jailer.processes(step.limits.processes + self._execution.own_processes + 1)
        bounds = allowed.bounds(step.limits, processes=processes)
        header = {
            "folder": folder,
            "files": [(name, mode, len(content)) for name, (mode, content) in step.files.items()],
            "command": self._words(step.command, folder),
            "artefact": "program" if step.artefact_bytes else "",
            "artefact_bytes": step.artefact_bytes,
            "cpu_hard_s": bounds.cpu_hard_s,
            "address_bytes": bounds.address_bytes if self._execution.bounded_addresses else 0,
            "file_bytes": max(bounds.file_bytes, _SCRATCH_FILES * step.artefact_bytes),
            "open_files": bounds.open_files,
            "processes": bounds.processes,
        }
        text = msgspec.json.encode(header)
        return struct.pack("!I", len(text)) + text + b"".join(content for _, content in step.files.values())

    def _words(self, command: tuple[str, ...], folder: str) -> list[str]:
        """A command as the jail needs it: with whole paths."""
        names = {SOURCE: f"{folder}/{self._source}", PROGRAM: f"{folder}/program"}
        first, *words = [
            word.replace(SOURCE, names[SOURCE]).replace(PROGRAM, names[PROGRAM]) for word in command
        ]
        if first == self._execution.tool:
            return [self._tool.path, *words]
        return [shutil.which(first) or first, *words]


def _not_compiled(result: RunResult) -> RunResult:
    """What a compiler says is an error of the program; a limit that it broke stays one."""
    by_itself = result.status in (Status.SUCCESS, Status.ERROR, Status.SIGNAL)
    return msgspec.structs.replace(
        result,
        status=Status.COMPILE_ERROR if by_itself else result.status,
        stdout=b"",
        stdout_bytes=0,
        stdout_truncated=False,
        stderr=result.stderr + result.stdout,
    )
