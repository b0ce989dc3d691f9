"""A group of actors that live and fall together, and are given up for a while when they fall too often.

loop     waits for                                    unblocked by
-------  -------------------------------------------  ---------------------------------------------
`keep`   the first member that is given up, or the    the members; `stop`
         end of all
... then the moment before the group lives again      the clock; `stop`
`stop`   the end of each member, last started first   its cancellation; after `stop_s` the next one
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import CancelScope

from altlas_agent.actors.supervision.charge import Charge, Member
from altlas_agent.actors.supervision.intensity import Restarts
from altlas_agent.core.events import Degraded, Recovered

if TYPE_CHECKING:
    from altlas_agent.actors.supervision.charge import Care
    from altlas_agent.core.pulse import ActorState

logger = logging.getLogger(__name__)


class Group(NamedTuple):
    """Actors that need each other, in the order in which they start. One that cannot live stops all."""

    name: str
    members: tuple[Member, ...]


class Keeper:
    """Keeps one group alive. When it falls too often it rests and is tried again, and the others go on."""

    def __init__(self, group: Group, care: Care) -> None:
        self.name = group.name
        self.is_given_up = False
        self.started = anyio.Event()
        """All members live, or the first try has failed."""
        self._ended = anyio.Event()
        self._care = care
        self._restarts = Restarts(care.limits.group, care.clock)
        self._charges = [Charge(member, group.name, care) for member in group.members]
        self._scope = CancelScope(shield=True)
        self._fallen = anyio.Event()
        self._given_up_ns = 0

    async def keep(self) -> None:
        """Live until all members have ended, or `stop`. Nothing that a member does raises here."""
        try:
            with self._scope:
                while reason := await self._live():
                    await self._rest(reason)
        finally:
            self.started.set()
            self._ended.set()

    async def stop(self) -> None:
        """End all members, last started first."""
        self._scope.cancel()
        await self._ended.wait()

    def look(self) -> None:
        """End the lives that have fallen silent."""
        for charge in self._charges:
            charge.look()

    def states(self) -> list[ActorState]:
        """How the members are now."""
        return [charge.state() for charge in self._charges]

    async def _live(self) -> str:
        """Why the group fell; empty when all have ended."""
        self._fallen = anyio.Event()
        begun: list[Charge] = []
        async with anyio.create_task_group() as tasks:
            try:
                for charge in self._charges:
                    charge.renew()
                    begun.append(charge)
                    charge.is_on_trial = self.is_given_up
                    tasks.start_soon(self._keep_one, charge, name=charge.name)
                    await charge.started.wait()
                self.started.set()
                if self.is_given_up:
                    tasks.start_soon(self._prove)
                await self._fallen.wait()
            finally:
                with CancelScope(shield=True):
                    for charge in reversed(begun):
                        await charge.stop()
                tasks.cancel_scope.cancel()
        return next((charge.failure for charge in self._charges if charge.failure), "")

    async def _keep_one(self, charge: Charge) -> None:
        await charge.keep()
        if charge.failure or all(each.ended.is_set() for each in self._charges):
            self._fallen.set()

    async def _rest(self, reason: str) -> None:
        for charge in self._charges:
            charge.rest()
        limits = self._care.limits
        if self.is_given_up or not self._restarts.is_allowed():
            self._give_up(reason)
            await self._care.sleep(limits.probe_s)
        else:
            await self._care.sleep(self._restarts.backoff_s(limits, self._care.random))
            self._restarts.count()

    def _give_up(self, reason: str) -> None:
        if self.is_given_up:
            return
        logger.error("%s is given up for now: %s", self.name, reason)
        self.is_given_up = True
        self._given_up_ns = self._care.clock.monotonic_ns()
        self._care.announce(Degraded(group=self.name, reason=reason))

    async def _prove(self) -> None:
        """What was given up and has lived for a while is whole again, with a clean slate."""
        await self._care.sleep(self._care.limits.steady_s)
        self.is_given_up = False
        self._restarts.forget()
        for charge in self._charges:
            charge.is_on_trial = False
        after_s = round(self._care.since_s(self._given_up_ns), 3)
        logger.info("%s is back after %g s", self.name, after_s)
        self._care.announce(Recovered(group=self.name, after_s=after_s))
