"""Where a run can go on: its newest checkpoint that is whole, and what is stored behind it."""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from anyio import to_thread

from altlas_agent.actors.facts import Told
from altlas_agent.core.errors import RunRefusedError
from altlas_agent.core.events import RunStarted
from altlas_agent.core.requests import CheckpointFile
from altlas_agent.settings.load import restored
from altlas_agent.tasks.loader import Suite, load_suite
from storage.database import open_reader
from storage.reading import announced, queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from altlas_agent.core.events import Envelope
    from altlas_agent.settings.run import Settings
    from storage.reading.views import CheckpointView

_PAGE = 500
_ANEW = "start it anew: altlas run start"

_log = logging.getLogger(__name__)


class Start(NamedTuple):
    """Where a life of a run begins. `version` and `attempts` are those of the checkpoint, 0 without one."""

    checkpoint: CheckpointFile | None
    version: int
    told: Told
    last_seq: int


class Interrupted(NamedTuple):
    """What a run was made of, as it is stored."""

    run_id: int
    name: str
    suite: Suite
    settings: Settings
    status: str
    reason: str


FRESH = Start(checkpoint=None, version=0, told=Told(), last_seq=0)
"""Where a new run begins."""


def find_interrupted(path: Path, run_id: int) -> Interrupted:
    """The run as it was started, with the suite as it is now.

    Raises NotFoundError, SettingsError, TaskError, or RunRefusedError when its tasks have changed.
    """
    with closing(open_reader(path)) as connection:
        run = queries.find_run(connection, f"r{run_id}")
        settings = restored(
            msgspec.json.decode(queries.run_settings(connection, run_id), type=dict[str, object])
        )
        started = _started(connection, run_id)
    suite = _suite(started)
    return Interrupted(run_id, run.name, suite, settings, run.status, run.reason)


async def find_start(path: Path, run_id: int) -> Start:
    """The newest checkpoint of the run that is whole, and everything stored behind it."""
    return await to_thread.run_sync(_find_start, path, run_id)


def _find_start(path: Path, run_id: int) -> Start:
    with closing(open_reader(path)) as connection:
        kept = _newest_whole(queries.checkpoints(connection, run_id, limit=0))
        file = CheckpointFile(path=kept.path, sha256=kept.sha256) if kept else None
        told = Told(_events(connection, run_id, (kept.seq or 0) if kept else 0))
        return Start(file, kept.version if kept else 0, told, queries.last_seq(connection, run_id))


def _newest_whole(checkpoints: Iterable[CheckpointView]) -> CheckpointView | None:
    for kept in checkpoints:
        if kept.seq is None:
            continue  # of an AltLAS that could not go on
        if _is_whole(kept):
            return kept
        _log.warning("checkpoint %s is missing or damaged; the one before it is used", kept.path)
    return None


def _events(connection: sqlite3.Connection, run_id: int, seq: int) -> Iterator[Envelope]:
    """The events behind `seq`, page by page."""
    while page := announced.events_page(connection, run_id, seq + 1, limit=_PAGE):
        yield from page
        seq = page[-1].seq


def _is_whole(kept: CheckpointView) -> bool:
    try:
        with Path(kept.path).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == kept.sha256
    except OSError:
        return False


def _started(connection: sqlite3.Connection, run_id: int) -> RunStarted:
    page = announced.events_page(connection, run_id, 1, limit=1)
    if page and isinstance(page[0].event, RunStarted):
        return page[0].event
    raise RunRefusedError(f"run r{run_id} ended before anything of it was stored; {_ANEW}")


def _suite(started: RunStarted) -> Suite:
    path = Path(started.suite_path)  # a shipped suite may lie elsewhere after an update
    suite = load_suite(path if started.suite_path and path.exists() else started.suite)
    if started.suite_sha256 and suite_sha256(suite) != started.suite_sha256:
        raise RunRefusedError(
            f"the tasks of suite {started.suite} have changed since the run was started; {_ANEW}"
        )
    return suite


def suite_sha256(suite: Suite) -> str:
    """What tells whether tasks are still the same: the SHA-256 of the first two instances of each."""
    digest = hashlib.sha256()
    for entry in suite.entries:
        for index in (0, 1):
            digest.update(msgspec.msgpack.encode(entry.instance("train", index)))
    return digest.hexdigest()


def refuse_ended(run: Interrupted, *, steered: bool) -> None:
    """Raises RunRefusedError for a run that came to its end, unless settings are steered so that it may go on."""
    if run.status == "ended" and not steered:
        raise RunRefusedError(
            f"run r{run.run_id} has ended: {run.reason}; to go on with it, say what changes, for example "
            f"--set run.stop_when_solved=false or --max-attempts N"
        )
