"""Actor: a name and a run(), and how several of them live and end together.

loop        waits for                                  unblocked by
----------  -----------------------------------------  ---------------------------------------
run_actors  the end of all actors, or of `until`        them; the first failure; cancellation
... then    the end of each actor, last started first   its cancellation; after `stop_s` the next
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import CancelScope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

STOP_S = 5.0

logger = logging.getLogger(__name__)


class Actor(Protocol):
    """A part of the run that has a life of its own."""

    @property
    def name(self) -> str:
        """How messages and statistics call it."""
        ...

    async def run(self) -> None:
        """Live until the work is done or cancellation comes. What it raises ends the others."""
        ...


class _Life:
    """One actor from its start to its end, cancelled by `stop` and by nothing else."""

    def __init__(self, actor: Actor, on_failure: Callable[[Exception], None]) -> None:
        self._actor = actor
        self._on_failure = on_failure
        self._scope = CancelScope(shield=True)
        self.started = anyio.Event()
        self.ended = anyio.Event()

    async def run(self) -> None:
        try:
            with self._scope:
                self.started.set()
                await self._actor.run()
        except Exception as error:  # noqa: BLE001 - run_actors raises it again when all have stopped
            self._on_failure(error)
        finally:
            self.ended.set()

    async def stop(self, stop_s: float) -> None:
        self._scope.cancel()
        with anyio.move_on_after(stop_s):
            await self.ended.wait()
        if not self.ended.is_set():
            logger.warning("%s has not stopped within %g s; stopping the others", self._actor.name, stop_s)


async def run_actors(
    actors: Sequence[Actor], *, until: Callable[[], Awaitable[None]] | None = None, stop_s: float = STOP_S
) -> None:
    """Start the actors in order, and run them until all have ended or `until` has returned.

    Then, also after a failure or when cancelled, stop those that still live, one after the other,
    last started first. A single failure is raised as itself; several as an ExceptionGroup.
    """
    failures: list[Exception] = []
    lives: list[_Life] = []
    body = CancelScope()

    def fail(error: Exception) -> None:
        failures.append(error)
        body.cancel()

    async with anyio.create_task_group() as tasks:
        try:
            with body:
                for actor in actors:
                    lives.append(_Life(actor, fail))
                    tasks.start_soon(lives[-1].run, name=actor.name)
                    await lives[-1].started.wait()
                await (until() if until is not None else _all_ended(lives))
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            failures.append(error)
        finally:
            with CancelScope(shield=True):
                for life in reversed(lives):
                    await life.stop(stop_s)
    if len(failures) > 1:
        raise ExceptionGroup("several actors failed", failures)
    if failures:
        raise failures[0]


async def _all_ended(lives: Sequence[_Life]) -> None:
    for life in lives:
        await life.ended.wait()
