"""The pool that commands run programs with."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.rewards.service import options_of
from altlas_agent.sandbox.engines.tools import stamp
from altlas_agent.sandbox.pool import Pool
from altlas_agent.sandbox.slots import Options, engine_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from altlas_agent.settings.run import Settings

_MODULE = "altlas_agent.rewards.service"


@asynccontextmanager
async def started(
    settings: Settings, *, workers: int, remembers: bool = False, prewarmed_nodes: int | None = None
) -> AsyncGenerator[Pool]:
    """A pool of its own for one command; without `remembers` every program really runs."""
    sandbox = settings.sandbox
    changes: dict[str, object] = {"result_cache": 0}
    if prewarmed_nodes is not None:
        changes["prewarmed_nodes"] = prewarmed_nodes
    changed = settings.model_copy(update={"sandbox": sandbox.model_copy(update=changes)})
    set_up = SetUpWorker(settings=changed.model_dump_json(), languages=())
    options = options_of(sandbox)
    async with Pool.start(
        set_up,
        module=_MODULE,
        workers=workers,
        cache=sandbox.result_cache if remembers else 0,
        version_of=lambda language: _version(language, options),
    ) as pool:
        yield pool


def _version(language: str, options: Options) -> str:
    try:
        return stamp(engine_of(language, options))
    except ServiceMissingError:
        return ""


def lacking(language: str, options: Options) -> str:
    """What has to be installed before this language runs, "" for nothing."""
    try:
        engine_of(language, options)
    except ServiceMissingError as error:
        return error.message
    return ""
