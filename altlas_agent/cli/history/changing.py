"""Changes of runs that are stored: by the daemon of the home if it has one, else under the lock of the home.

Each raises NotFoundError when the run has just been taken away, HomeBusyError while a run goes on in this home
without a daemon, and what the daemon refuses with.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.errors import NotFoundError, StorageError
from altlas_agent.daemon.home import HomeLock
from storage.database import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from altlas_agent.evaluation.exam import Report
    from storage.writer import Writer


@dataclass(frozen=True)
class _Change:
    """What is to be done: as a request to the daemon, and by a writer of our own."""

    route: str
    body: Mapping[str, object]
    act: Callable[[Writer], Awaitable[bool]]


def retag(home: Path, run_id: int, *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Give words to a run, and take others away."""
    body = {"add": add, "remove": remove}
    _change(home, run_id, _Change("tags", body, lambda writer: writer.retag(run_id, add=add, remove=remove)))


def set_note(home: Path, run_id: int, note: str) -> None:
    """Replace what was written about a run."""
    _change(home, run_id, _Change("note", {"note": note}, lambda writer: writer.set_note(run_id, note)))


def keep_exam(home: Path, run_id: int, report: Report) -> None:
    """Store what an exam of a run came to."""
    import msgspec

    from altlas_agent.evaluation.exam import row_of

    body: dict[str, object] = msgspec.to_builtins(report)
    row = row_of(run_id, report)
    _change(home, run_id, _Change("exams", body, lambda writer: writer.keep_exam(row)))


def delete(home: Path, run_id: int) -> None:
    """Take a run away, with its files. Raises StorageError as well, when those cannot be removed."""

    async def act(writer: Writer) -> bool:
        _remove(files_of(home, run_id))  # first: a kill then leaves no file of a run that is not there
        return await writer.delete_run(run_id)

    _change(home, run_id, _Change("delete", {}, act))


def files_of(home: Path, run_id: int) -> Path:
    """The folder of a run."""
    return home / "runs" / f"r{run_id}"


def _change(home: Path, run_id: int, change: _Change) -> None:
    # Imported here and below: who only reads a tag needs none of it.
    from altlas_agent.daemon.api.client import START_TIMEOUT_S, connect
    from altlas_agent.daemon.api.site import Applied
    from altlas_agent.daemon.service.discovery import find

    if find(home) is not None:
        path = f"/v1/runs/{run_id}/{change.route}"
        connect(home).post(path, Applied, change.body, timeout_s=START_TIMEOUT_S)
    elif not _done_alone(home, change):
        raise NotFoundError("run", f"r{run_id}", "somebody has just taken it away")


def _done_alone(home: Path, change: _Change) -> bool:
    import anyio

    from storage.writer import Writer

    async def write() -> bool:
        async with Writer(home / FILE_NAME) as writer:
            return await change.act(writer)

    with HomeLock(home):
        return anyio.run(write)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot remove {folder}: {error.strerror}; the run itself stays") from error
