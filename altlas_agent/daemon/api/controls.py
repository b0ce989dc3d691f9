"""The routes that change something: runs begin, end, rest and are steered, and the daemon stops."""

from __future__ import annotations

import shutil
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent.core.errors import DeadlineExceeded, NotFoundError, RunRefusedError
from altlas_agent.daemon.api.answers import Refused, answer
from altlas_agent.daemon.api.bodies import (
    ChangeNote,
    ChangeSettings,
    ChangeTags,
    Nothing,
    StartRun,
    read_body,
)
from altlas_agent.daemon.api.reads import run_of
from altlas_agent.daemon.api.site import Applied, Begun, line_of
from altlas_agent.daemon.live import State
from altlas_agent.evaluation.exam import Report, row_of
from storage.journal import JOURNAL_RUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from starlette.requests import Request
    from starlette.responses import Response

    from altlas_agent.daemon.api.site import Site
    from altlas_agent.daemon.live import LiveRun

    T = TypeVar("T")

START_S = 180.0
"""How long a run may take to begin: its workers prove their jails."""

SAVE_S = 120.0
"""How long a checkpoint may take: the step that is under way ends first."""

MARK_S = 180.0
"""How long a run may take to be taken away; asked again, the daemon goes on with it."""


class Controls:
    """The routes that change something. Asking for what is so already is no error."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def start(self, request: Request) -> Response:
        """`POST /v1/runs`: begin a run."""
        asked = await read_body(request, StartRun)
        self._refuse_when_stopping()
        run = await _within(
            START_S, "the start of a run", self._site.host.start(asked.suite, asked.settings, name=asked.name)
        )
        return answer(Begun(run=line_of(run)), HTTPStatus.CREATED)

    async def restart(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/restart`: go on with one that was interrupted or crashed."""
        asked = await read_body(request, ChangeSettings)
        self._refuse_when_stopping()
        run_id = run_of(request.path_params["run"])
        restarting = self._site.host.restart(run_id, asked.settings)
        run = await _within(START_S, "the start of a run", restarting)
        return answer(Begun(run=line_of(run)), HTTPStatus.CREATED)

    async def stop(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/stop`: end it, with a checkpoint."""
        return await self._apply(request, lambda run: run.stop(), unless=State.STOPPING)

    async def pause(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/pause`: start no further step."""
        return await self._apply(request, lambda run: run.pause(), unless=State.PAUSED)

    async def resume(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/resume`: go on after a pause."""
        return await self._apply(request, lambda run: run.resume(), unless=State.RUNNING)

    async def checkpoint(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/checkpoint`: save now, and answer when it is saved."""
        await read_body(request, Nothing)
        run = self._run(request)
        saved = await _within(SAVE_S, f"a checkpoint of run r{run.run_id}", run.checkpoint())
        return answer(Applied(target=f"r{run.run_id}", applied=True, checkpoint=saved))

    async def configure(self, request: Request) -> Response:
        """`PATCH /v1/runs/{run}/config`: set live settings from the next step on; all of them, or none."""
        asked = await read_body(request, ChangeSettings)
        run = self._run(request)
        before = run.steer(asked.settings)
        return answer(Applied(target=f"r{run.run_id}", applied=before != asked.settings, before=before))

    async def tag(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/tags`: give words to a run that is stored, and take others away."""
        asked = await read_body(request, ChangeTags)
        run_id = _stored_run(request)
        return await self._mark(run_id, self._site.marks.retag(run_id, add=asked.add, remove=asked.remove))

    async def note(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/note`: write something about a run that is stored."""
        asked = await read_body(request, ChangeNote)
        run_id = _stored_run(request)
        return await self._mark(run_id, self._site.marks.set_note(run_id, asked.note))

    async def keep_exam(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/exams`: keep what an exam of a run came to that is stored."""
        report = await read_body(request, Report)
        run_id = _stored_run(request)
        return await self._mark(run_id, self._site.marks.keep_exam(row_of(run_id, report)))

    async def delete(self, request: Request) -> Response:
        """`POST /v1/runs/{run}/delete`: take a run away that is over, and then its files."""
        await read_body(request, Nothing)
        run_id = _stored_run(request)
        if any(run.run_id == run_id for run in self._site.host.live()):
            raise RunRefusedError(f"run r{run_id} is under way: altlas run stop r{run_id} ends it")
        done = await self._mark(run_id, self._site.marks.delete_run(run_id))
        folder = self._site.database.parent / "runs" / f"r{run_id}"
        await to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))
        return done

    async def shutdown(self, request: Request) -> Response:
        """`POST /v1/shutdown?drain=1`: end the daemon; `drain=0` does not wait for the runs."""
        await read_body(request, Nothing)
        drain = request.query_params.get("drain", "1")
        if drain not in ("0", "1"):
            raise Refused(HTTPStatus.BAD_REQUEST, "invalid", "drain is 0 or 1")
        was_stopping = self._site.is_stopping()
        self._site.stop(drain == "0")
        return answer(Applied(target="daemon", applied=not was_stopping), HTTPStatus.ACCEPTED)

    async def _mark(self, run_id: int, change: Awaitable[bool]) -> Response:
        if not await _within(MARK_S, f"a change of run r{run_id}", change):
            raise _no_run(run_id)
        return answer(Applied(target=f"r{run_id}", applied=True))

    async def _apply(self, request: Request, change: Callable[[LiveRun], None], *, unless: State) -> Response:
        await read_body(request, Nothing)
        run = self._run(request)
        is_new = run.state is not unless
        if is_new:
            change(run)
        return answer(Applied(target=f"r{run.run_id}", applied=is_new, state=run.state))

    def _run(self, request: Request) -> LiveRun:
        return self._site.host.find(run_of(request.path_params["run"]))

    def _refuse_when_stopping(self) -> None:
        if self._site.is_stopping():
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping; start it again"
            )


def _stored_run(request: Request) -> int:
    """The run that is named. The journal is none."""
    run_id = run_of(request.path_params["run"])
    if run_id == JOURNAL_RUN:
        raise _no_run(run_id)
    return run_id


def _no_run(run_id: int) -> NotFoundError:
    return NotFoundError("run", f"r{run_id}", "the runs there are: altlas run list")


async def _within(seconds: float, what: str, work: Awaitable[T]) -> T:
    with anyio.move_on_after(seconds):
        return await work
    raise DeadlineExceeded("the daemon", what, seconds)
