"""Which runs a daemon serves: none yet."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from altlas_agent.core.errors import NotFoundError, ServiceMissingError
from altlas_agent.daemon.api.site import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from altlas_agent.daemon.api.site import Host
    from altlas_agent.daemon.live import LiveRun
    from altlas_agent.daemon.serve import Ground
    from storage.database import Pause

_MISSING = "this daemon carries no runs; start it in the foreground: altlas run start"


class NoRuns:
    """A host that refuses every run."""

    workers = Workers(up=0, wanted=0)

    def live(self) -> tuple[LiveRun, ...]:
        return ()

    def find(self, run_id: int) -> LiveRun:
        raise NotFoundError("live run", f"r{run_id}", "those of this daemon: /v1/runs")

    async def start(self, suite: str, settings: Mapping[str, object], *, name: str = "") -> LiveRun:
        raise ServiceMissingError(f"{suite}: {_MISSING}")

    async def restart(self, run_id: int) -> LiveRun:
        raise ServiceMissingError(f"r{run_id}: {_MISSING}")

    def actors(self) -> tuple[()]:
        return ()

    def tell_of_pause(self, pause: Pause | None) -> None:
        pass


@asynccontextmanager
async def open_host(_ground: Ground) -> AsyncGenerator[Host]:
    """The runs of this process, as long as the block lasts."""
    yield NoRuns()
