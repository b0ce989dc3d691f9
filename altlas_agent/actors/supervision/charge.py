"""One actor and its lives: whatever ends a life stays here, and a new one begins after a moment.

loop     waits for                         unblocked by
-------  --------------------------------  ----------------------------------------------------
`keep`   the end of the actor's life       the actor; `look`, when it has fallen silent; `stop`
... then the moment before the next life   the clock; `stop`
`stop`   the end of `keep`                 the actor, which is cancelled; after `stop_s` nobody waits
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import CancelScope

from altlas_agent.actors.supervision.intensity import Restarts
from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.errors import leaves_of, ungrouped
from altlas_agent.core.events import ActorDied, ActorRestarted
from altlas_agent.core.log import clean
from altlas_agent.core.pulse import ActorState, Life, Pulse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from altlas_agent.actors.supervision.intensity import Limits
    from altlas_agent.core.actor import Actor
    from altlas_agent.core.clock import Clock
    from altlas_agent.core.events import AnyEvent

LONGEST_REASON = 500

logger = logging.getLogger(__name__)


class Member(NamedTuple):
    """An actor that is to live: `make` is called once for each of its lives.

    It is ended and started again when it is silent for `silent_s`; None: nobody looks at its pulse. Without
    `may_end` a return is a death as well.
    """

    name: str
    make: Callable[[Pulse], Actor]
    silent_s: float | None = None
    may_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What all charges of a supervisor share."""

    tell: Callable[[AnyEvent], None]
    clock: Clock
    random: Random
    limits: Limits
    sleep: Callable[[float], Awaitable[object]]

    def announce(self, event: AnyEvent) -> None:
        """Tell of it. Whoever cannot hear it must not bring down those who live."""
        try:
            self.tell(event)
        except Exception:
            logger.exception("%s was not told", event)

    def since_s(self, then_ns: int) -> float:
        return (self.clock.monotonic_ns() - then_ns) / NS_PER_S


class Charge:
    """One member under care. `keep` is its life and may be run again when it has ended."""

    def __init__(self, member: Member, group: str, care: Care) -> None:
        self.name = member.name
        self.is_on_trial = False
        """Its first death is then one too many."""
        self.failure = ""
        """Why it was given up; empty while it is not."""
        self.started, self.ended = anyio.Event(), anyio.Event()
        self._member, self._group, self._care = member, group, care
        self._restarts = Restarts(care.limits.actor, care.clock)
        self._life = Life.ENDED
        self._pulse = Pulse(care.clock)
        self._scope, self._life_scope = CancelScope(shield=True), CancelScope()
        self._silence = self._last_reason = ""
        self._died_ns = 0

    async def keep(self) -> None:
        """Live, and live again after each death, until it has ended, died too often, or is stopped.

        To be called once after each `renew`.
        """
        try:
            with self._scope:
                self.started.set()
                await self._lives()
            if self._scope.cancelled_caught:
                self._life = Life.ENDED
        except Exception:
            logger.exception("%s failed while it was stopped", self.name)
        finally:
            self.ended.set()

    def renew(self) -> None:
        """Make ready for `keep`. After a death that one counts as a restart."""
        self.started, self.ended = anyio.Event(), anyio.Event()
        self.failure = ""
        self._scope = CancelScope(shield=True)  # ended by `stop` alone: in turn, and not before

    async def stop(self) -> None:
        """End it; after `stop_s` do not wait for it any longer."""
        self._scope.cancel()
        with anyio.move_on_after(self._care.limits.stop_s):
            await self.ended.wait()
        if not self.ended.is_set():
            logger.warning("%s has not stopped within %g s", self.name, self._care.limits.stop_s)

    def rest(self) -> None:
        """Its group does not live."""
        if self._life is not Life.ENDED or not self._member.may_end:
            self._life = Life.DOWN

    def look(self) -> None:
        """End a life that has fallen silent; that it died is told at once, for it may be slow to end."""
        limit_s = self._member.silent_s
        if limit_s is None or self._silence or self._life is not Life.RUNNING:
            return
        if self._pulse.silent_s > limit_s:
            self._silence = f"it neither moved nor said what it waits for, for {limit_s:g} s"
            self._tell_death(self._silence)
            self._life_scope.cancel()

    def state(self) -> ActorState:
        """How it is now."""
        is_alive = self._life is Life.RUNNING
        waits_for = self._pulse.reason if is_alive else ""
        return ActorState(
            name=self.name,
            group=self._group,
            life=Life.WAITING if waits_for else self._life,
            restarts=self._restarts.total,
            silent_s=round(self._pulse.silent_s, 3) if is_alive else 0.0,
            waits_for=waits_for,
            last_reason=self._last_reason,
        )

    async def _lives(self) -> None:
        if self._died_ns:
            self._tell_restart()
        self._restarts.forget()  # with the group everything begins anew
        while reason := await self._one_life():
            if not self._silence:
                self._tell_death(reason)
            if self.is_on_trial or not self._restarts.is_allowed():
                self.failure = f"{self.name} died too often, last because {reason}"
                self._life = Life.DOWN
                return
            self._life = Life.BACKING_OFF
            await self._care.sleep(self._restarts.backoff_s(self._care.limits, self._care.random))
            self._tell_restart()
        self._life = Life.ENDED

    async def _one_life(self) -> str:
        """Why it died; empty when it may have ended."""
        self._pulse, self._silence = Pulse(self._care.clock), ""
        self._life = Life.RUNNING
        try:
            with CancelScope() as self._life_scope, ungrouped():
                await self._member.make(self._pulse).run()
                return self._silence or ("" if self._member.may_end else "it returned, and should not have")
        except Exception as error:
            logger.error("%s died", self.name, exc_info=error)
            return _in_words(error)
        except anyio.get_cancelled_exc_class():
            if self._scope.cancel_called:
                raise
            return "it was cancelled by somebody else"  # a future or task of its own, on asyncio
        return self._silence

    def _tell_death(self, reason: str) -> None:
        self._died_ns = self._care.clock.monotonic_ns()
        self._last_reason = reason
        self._care.announce(ActorDied(actor=self.name, reason=reason, restarts=self._restarts.total))

    def _tell_restart(self) -> None:
        self._restarts.count()
        after_s = self._care.since_s(self._died_ns)
        self._died_ns = 0
        self._care.announce(
            ActorRestarted(actor=self.name, restarts=self._restarts.total, after_s=round(after_s, 3))
        )


def _in_words(error: Exception) -> str:
    leaves = list(leaves_of(error))
    return clean("; ".join(f"{type(each).__name__}: {each}".rstrip(": ") for each in leaves))[:LONGEST_REASON]
