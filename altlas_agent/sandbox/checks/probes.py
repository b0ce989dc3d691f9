"""Hostile programs with a witness outside the jail: what the program itself says proves nothing."""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from altlas_agent.core.records import Limits, Program, Record, RunResult, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    Run = Callable[[Program, Limits], Awaitable[RunResult]]

LIMITS = Limits(cpu_s=2.0, wall_s=4.0, memory_mb=128, output_kb=16)
GRACE_S = 4.0
_ENDLESS = Limits(cpu_s=5.0, wall_s=1.0, memory_mb=128, output_kb=16)

READ = {
    "python": "print(open('{path}').read())",
    "javascript": "console.log(require('fs').readFileSync('{path}', 'utf8'))",
    "bash": "cat {path}",
    "cpp": '#include <fstream>\n#include <iostream>\nint main() {{ std::ifstream f("{path}"); std::cout << f.rdbuf(); }}',
}
WRITE = {
    "python": "open('{path}', 'w').write('x')",
    "javascript": "require('fs').writeFileSync('{path}', 'x')",
    "bash": "echo x > {path}",
    "cpp": '#include <fstream>\nint main() {{ std::ofstream("{path}") << "x"; }}',
}
CONNECT = {
    "python": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)",
    "javascript": "require('net').connect({port}, '127.0.0.1')",
    "bash": "echo x > /dev/tcp/127.0.0.1/{port}",
}
LEAVE = {
    "python": "import subprocess\nsubprocess.Popen(['sleep', '{number}'], start_new_session=True)",
    "javascript": "require('child_process').spawn('sleep', ['{number}'], {{ detached: true, stdio: 'ignore' }}).unref()",
    "bash": "setsid sleep {number} > /dev/null 2>&1 & disown",
}
SHOW = {
    "python": "import os\nprint(dict(os.environ))",
    "javascript": "console.log(process.env)",
    "bash": "env",
}
ENDLESS = {
    "python": "while True: pass",
    "javascript": "while (true);",
    "bash": "while :; do :; done",
    "cpp": "int main() {{ for (volatile int i = 0;; i = i + 1); }}",
    "loda": "mov $1,10\npow $1,9\nlpb $1\n  sub $1,1\nlpe\n",
}
FLOOD = {
    "python": "while True: print('x' * 9999)",
    "javascript": "for (;;) console.log('x'.repeat(9999))",
    "bash": "while :; do printf '%9999d' 1; done",
    "cpp": '#include <cstdio>\nint main() {{ for (;;) std::printf("%9999d", 1); }}',
    "loda": "mov $0,10\npow $0,9000\n",
}
GROW = {
    "python": "x = []\nwhile True: x.append(bytearray(1_000_000))",
    "javascript": "const x = []; for (;;) x.push(new Array(1e5).fill(x.length / 3))",
    "cpp": "#include <cstdlib>\n#include <cstring>\nint main() {{ for (;;) std::memset(std::malloc(1 << 20), 1, 1 << 20); }}",
    "loda": "mov $1,10\npow $1,9000\nmov $3,90000\n"
    "lpb $3\n  sub $3,1\n  add $1,1\n  mov $4,$3\n  add $4,100\n  mov $$4,$1\nlpe\n",
}


class Probed(Record):
    """What came of one probe: `problem` is what the witness saw, "" when the sandbox held."""

    language: str
    probe: str
    problem: str


class _Witness:
    """What lies outside the jail for programs to reach, and whether they did."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.secret = secrets.token_hex(16)
        self.number = f"1{secrets.randbelow(10**9):09}"
        self.unwritten = folder / "written-from-inside"
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.readable = folder / "secret"
        self.readable.write_text(self.secret, "utf-8")
        self.readable.chmod(0o644)

    def fill(self, template: str, path: Path | None = None) -> str:
        return template.format(path=path, port=self.port, number=self.number)

    def has_visitor(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def has_survivor(self) -> bool:
        """Whether a process that the program started is still there."""
        wanted = self.number.encode()
        return any(wanted in _command_line(name) for name in os.listdir("/proc") if name.isdigit())


@contextmanager
def _witness() -> Generator[_Witness]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="altlas-probe-")))
        folder.chmod(0o777)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        yield _Witness(folder, listener)


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def probe(language: str, run: Run) -> tuple[Probed, ...]:
    """Every probe that there is for a language."""
    problems: dict[str, str] = {}
    with _witness() as witness:
        for name, (templates, check) in _PROBES.items():
            if language in templates:
                problems[name] = await check(Caller(language, templates[language], run), witness)
    return tuple(Probed(language=language, probe=name, problem=text) for name, text in problems.items())


class Caller:
    """One hostile program, ready to be run."""

    def __init__(self, language: str, template: str, run: Run) -> None:
        self.template = template
        self._language, self._run = language, run

    async def run(self, code: str, limits: Limits = LIMITS) -> RunResult:
        return await self._run(Program(language=self._language, code=code), limits)


async def _reads(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template, witness.readable))
    return _leak(result, witness.secret)


async def _reads_environment(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template))
    outside = next((text for name, text in os.environ.items() if name == "PATH"), "")
    return _leak(result, outside) if len(outside) > len("/usr/bin") else _unscored(result)


def _leak(result: RunResult, secret: str) -> str:
    if secret.encode() in result.stdout + result.stderr:
        return "it read what lies outside the jail"
    return _unscored(result)


async def _writes(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template, witness.unwritten))
    return "it wrote a file outside the jail" if witness.unwritten.exists() else _unscored(result)


async def _connects(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template))
    return "it reached a listener outside the jail" if witness.has_visitor() else _unscored(result)


async def _leaves(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template))
    return "a process that it started outlived it" if witness.has_survivor() else _unscored(result)


async def _stays(caller: Caller, witness: _Witness) -> str:
    began = time.monotonic()
    result = await caller.run(witness.fill(caller.template), _ENDLESS)
    late_s = time.monotonic() - began - _ENDLESS.wall_s
    if late_s > GRACE_S:
        return f"the verdict came {late_s:.1f} s after its limit"
    return _expected(result, Status.TIMEOUT, Status.CPU_LIMIT)


async def _floods(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template))
    if len(result.stdout) > LIMITS.output_kb * 1024:
        return f"{len(result.stdout)} bytes of output were kept"
    return _expected(result, Status.OUTPUT_LIMIT)


async def _grows(caller: Caller, witness: _Witness) -> str:
    result = await caller.run(witness.fill(caller.template))
    if result.max_rss_mb > 3 * LIMITS.memory_mb:
        return f"it used {result.max_rss_mb:.0f} MB of {LIMITS.memory_mb} allowed"
    return _expected(result, Status.MEMORY_LIMIT, Status.ERROR, Status.SIGNAL)


def _expected(result: RunResult, *statuses: Status) -> str:
    return "" if result.status in statuses else f"it ended with {result.status.value}"


def _unscored(result: RunResult) -> str:
    """A probe that was not run shows nothing."""
    if result.status in (Status.INTERNAL, Status.REFUSED, Status.COMPILE_ERROR):
        return f"it could not be run: {result.status.value}"
    return ""


_PROBES: dict[str, tuple[dict[str, str], Callable[[Caller, _Witness], Awaitable[str]]]] = {
    "reads no file outside": (READ, _reads),
    "sees no environment": (SHOW, _reads_environment),
    "writes no file outside": (WRITE, _writes),
    "has no network": (CONNECT, _connects),
    "leaves no process": (LEAVE, _leaves),
    "is stopped in time": (ENDLESS, _stays),
    "cannot flood": (FLOOD, _floods),
    "cannot take all memory": (GROW, _grows),
}
