"""Programs of a JSONL file through one pool: a line in, a line out, in order.

loop        waits for                        unblocked by
----------  -------------------------------  --------------------------------------------------
_read       a line, in a thread              who writes the file; cancelling leaves the thread
_read       room in the window               _write, which has shown the oldest answer
_answer     its result                       the pool
_write      the oldest line's answer         its `_answer`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import click
import msgspec
from anyio import to_thread

from altlas_agent.cli.sandbox.pools import started
from altlas_agent.cli.sandbox.shown import shown
from altlas_agent.core.errors import AltlasError, Exit, ungrouped
from altlas_agent.core.records import Limits, Program
from altlas_agent.languages.execution import language_called

if TYPE_CHECKING:
    from typing import BinaryIO

    from anyio.abc import TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from altlas_agent.sandbox.pool import Pool
    from altlas_agent.settings.run import Settings

WINDOW = 256
"""Lines that may be under way: a slow program holds up no more than these."""

MAX_LINE_BYTES = 16 * 1024 * 1024


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a batch."""

    language: str
    code: str
    id: object = None
    stdin: str = ""
    entry: str = ""
    calls: list[object] = []
    limits: dict[str, float] = {}


class _Place:
    """One line's place in the output."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer: dict[str, object] = {}
        self.done = anyio.Event()


async def run_batch(source: BinaryIO, settings: Settings, limits: Limits, *, remembers: bool) -> int:
    """The exit code: 0 when every line has its answer, that of the first error of the sandbox otherwise.

    `limits` hold for lines that name none of their own.
    """
    batch = _Batch(source, limits, settings.sandbox.languages)
    workers = settings.sandbox.workers
    with ungrouped():
        async with (
            started(settings, workers=workers, remembers=remembers) as pool,
            anyio.create_task_group() as tasks,
        ):
            sending, receiving = anyio.create_memory_object_stream[_Place](WINDOW)
            tasks.start_soon(batch.read, pool, sending, tasks)
            await batch.write(receiving)
    return batch.exit_code


class _Batch:
    """One file on its way through the pool."""

    def __init__(self, source: BinaryIO, limits: Limits, further: str) -> None:
        self.exit_code: int = Exit.DONE
        self._source = source
        self._limits = limits
        self._further = further

    async def read(self, pool: Pool, places: MemoryObjectSendStream[_Place], tasks: TaskGroup) -> None:
        number = 0
        async with places:
            while text := await to_thread.run_sync(self._next_line, abandon_on_cancel=True):
                number += 1
                if text.isspace():
                    continue
                place = _Place(number)
                tasks.start_soon(self._answer, place, text, pool)
                await places.send(place)

    async def write(self, places: MemoryObjectReceiveStream[_Place]) -> None:
        async with places:
            async for place in places:
                await place.done.wait()
                click.echo(json.dumps(place.answer))

    def _next_line(self) -> bytes:
        """At most a byte more than is allowed; the rest of such a line is skipped."""
        text = rest = self._source.readline(MAX_LINE_BYTES + 1)
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = self._source.readline(MAX_LINE_BYTES + 1)
        return text

    async def _answer(self, place: _Place, text: bytes, pool: Pool) -> None:
        try:
            line = parsed(text)
            identity: dict[str, object] = {"line": place.number, "id": line.id}
        except ValueError as error:
            place.answer = _failure({"line": place.number, "id": None}, "line", str(error))
            place.done.set()
            return
        try:
            program, limits = self._request(line)
            result = await pool.run(program, limits)
            place.answer = identity | msgspec.to_builtins(shown(program.language, result))
        except ValueError as error:
            place.answer = _failure(identity, "line", str(error))
        except AltlasError as error:
            self.exit_code = self.exit_code or error.exit_code
            place.answer = _failure(identity, type(error).__name__, error.message)
        place.done.set()

    def _request(self, line: Line) -> tuple[Program, Limits]:
        program = Program(
            language=language_called(line.language, self._further),
            code=line.code,
            stdin=line.stdin,
            entry=line.entry,
            calls=tuple(each if isinstance(each, str) else json.dumps(each) for each in line.calls),
        )
        both = msgspec.structs.asdict(self._limits) | line.limits
        return program, msgspec.convert(both, Limits)


def parsed(text: bytes) -> Line:
    """Raises ValueError with what is wrong with a line."""
    if len(text) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        # Unlike msgspec it reads escaped lone surrogates: the sandbox has an answer to such programs.
        found: object = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return msgspec.convert(found, Line)


def _failure(identity: dict[str, object], kind: str, message: str) -> dict[str, object]:
    return {**identity, "error": {"kind": kind, "message": message}}
