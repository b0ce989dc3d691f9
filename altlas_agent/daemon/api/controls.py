"""The routes that change something: runs begin, end, rest and are steered, and the daemon stops."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import DeadlineExceeded
from altlas_agent.daemon.api.answers import Refused, answer
from altlas_agent.daemon.api.bodies import ChangeSettings, Nothing, StartRun, read_body
from altlas_agent.daemon.api.reads import run_of
from altlas_agent.daemon.api.site import Applied, Begun, line_of
from altlas_agent.daemon.live import State

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

    async def shutdown(self, request: Request) -> Response:
        """`POST /v1/shutdown?drain=1`: end the daemon; `drain=0` does not wait for the runs."""
        await read_body(request, Nothing)
        drain = request.query_params.get("drain", "1")
        if drain not in ("0", "1"):
            raise Refused(HTTPStatus.BAD_REQUEST, "invalid", "drain is 0 or 1")
        was_stopping = self._site.is_stopping()
        self._site.stop(drain == "0")
        return answer(Applied(target="daemon", applied=not was_stopping), HTTPStatus.ACCEPTED)

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


async def _within(seconds: float, what: str, work: Awaitable[T]) -> T:
    with anyio.move_on_after(seconds):
        return await work
    raise DeadlineExceeded("the daemon", what, seconds)
