"""Starts actors, restarts those that die, and stops them in reverse: no death of one is felt by another.

    loop      waits for                              unblocked by
    --------  -------------------------------------  ------------------------------------------
    `keep`    whoever asked for it                   the end of its block, however it ends
    `start`   the members of the group, one by one   each of them, as soon as it begins
    `stop`    the end of the group                   its members; see supervision/group.py
    look      the next look at the pulses            the clock

An actor that dies is started again after a moment. One that dies too often takes its group with it; a group
that falls too often is given up and tried again later, and everything else goes on. Callers of an actor that
died hear it at once where they ask over `bus.asks`, whose desk ends with the actor.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope

from altlas_agent.actors.supervision.charge import Care
from altlas_agent.actors.supervision.group import Group, Keeper
from altlas_agent.actors.supervision.intensity import Limits
from altlas_agent.core.errors import ungrouped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from altlas_agent.core.clock import Clock
    from altlas_agent.core.events import AnyEvent
    from altlas_agent.core.pulse import ActorState


class Supervisor:
    """Keeps groups of actors alive. `tell` hears of every death; it must not wait."""

    def __init__(
        self,
        tell: Callable[[AnyEvent], None],
        *,
        clock: Clock,
        seed: int = 0,
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._care = Care(tell=tell, clock=clock, random=Random(seed), limits=limits or Limits(), sleep=sleep)
        self._keepers: dict[str, Keeper] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def keep(self, groups: Sequence[Group] = ()) -> AsyncGenerator[None]:
        """Start the groups in order, and stop all there are, last started first, at the end of the block."""
        with ungrouped():
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._look, name="supervisor")
                try:
                    for group in groups:
                        await self.start(group)
                    yield
                finally:
                    with CancelScope(shield=True):
                        for name in reversed(list(self._keepers)):
                            await self.stop(name)
                    self._tasks.cancel_scope.cancel()

    async def start(self, group: Group) -> None:
        """Start one more group; returns when all its members have begun. Raises ValueError for a name in use."""
        assert self._tasks is not None, "groups are started within `keep`"
        if group.name in self._keepers:
            raise ValueError(f"two groups named {group.name!r}")
        keeper = self._keepers[group.name] = Keeper(group, self._care)
        self._tasks.start_soon(keeper.keep, name=group.name)
        await keeper.started.wait()

    async def stop(self, name: str) -> None:
        """End a group and forget it. Raises KeyError for one that is not kept."""
        await self._keepers[name].stop()
        del self._keepers[name]

    @property
    def degraded(self) -> tuple[str, ...]:
        """The groups that are given up for now."""
        return tuple(keeper.name for keeper in self._keepers.values() if keeper.is_given_up)

    def states(self) -> tuple[ActorState, ...]:
        """All actors in the order of their start."""
        return tuple(state for keeper in self._keepers.values() for state in keeper.states())

    async def _look(self) -> None:
        while True:
            await self._care.sleep(self._care.limits.look_s)
            for keeper in list(self._keepers.values()):
                keeper.look()
