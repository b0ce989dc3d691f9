"""Questions to one named actor: answered, refused, or failed at once when the actor is gone.

    loop    waits for                            unblocked by
    ------  -----------------------------------  -----------------------------------------------------
    `ask`   room at the desk, then the answer    the actor; the end of its desk; its own timeout
    desk    a question                           an asker; `Asks.close`, and the end of its block

A question belongs to the actor that handles it: what that actor asks in turn, from whatever task it
started, is part of the same chain, and a chain that comes back to one of its actors is refused.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

from altlas_agent.core.bus.asking.desk import Desk, Question, Reply, chain_to
from altlas_agent.core.bus.statistics import AskStatistics
from altlas_agent.core.errors import ActorDied, AskCycleError, DeadlineExceeded, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from altlas_agent.core.records import Record

T = TypeVar("T")


class Asks:
    """Who answers to which name, and all questions under way. `last_seq` says what was announced last."""

    def __init__(self, last_seq: Callable[[], int]) -> None:
        self._last_seq = last_seq
        self._desks: dict[str, Desk] = {}
        self._is_closed = False
        self._asked = self._answered = self._late = self._timed_out = self._died = self._cycles = 0

    @contextmanager
    def serve(self, name: str) -> Generator[Desk]:
        """Answer to `name` until the end of the block, however it ends: who waits then gets ActorDied.

        Raises ValueError for a name in use.
        """
        if self._is_closed:
            raise anyio.ClosedResourceError("the bus is closed")
        if name in self._desks:
            raise ValueError(f"two actors answer to {name!r}")
        desk = self._desks[name] = Desk(name, on_late=self._count_late)
        detail = "it ended"
        try:
            with desk.minding():
                yield desk
        except BaseException as error:
            detail = (
                f"it ended with {type(error).__name__}: {error}" if isinstance(error, Exception) else detail
            )
            raise
        finally:
            del self._desks[name]
            desk.shut(detail)

    async def ask(
        self,
        name: str,
        message: Record,
        reply_type: type[T],
        *,
        timeout_s: float,
        cause_seq: int | None = None,
    ) -> Reply[T]:
        """The answer of the actor `name`. `cause_seq` is the event that led to the question, else the last.

        Raises ActorDied at once when the actor is not there or ends, DeadlineExceeded after `timeout_s`
        (a later answer is dropped), AskCycleError at once when it would wait for this very question,
        ProcessError for an answer that is no `reply_type`, and what the actor refused it with.
        """
        if not (timeout_s > 0 and math.isfinite(timeout_s)):
            raise ValueError(f"a question needs a timeout above 0 and below infinity, not {timeout_s}")
        if self._is_closed:
            raise anyio.ClosedResourceError("the bus is closed")
        if chain := chain_to(name):
            self._cycles += 1
            raise AskCycleError(chain)
        self._asked += 1
        desk = self._desks.get(name)
        if desk is None:
            self._died += 1
            raise ActorDied(name, "nobody answers to this name")
        question = Question(message, self._last_seq() if cause_seq is None else cause_seq)
        await self._settle(desk, question, timeout_s)
        value = question.value
        if not isinstance(value, reply_type):
            raise ProcessError(
                f"{name} answered with {type(value).__name__}, which is no {reply_type.__name__}"
            )
        return Reply(value=value, cause_seq=question.cause_seq)

    def close(self) -> None:
        """Take no more questions; whoever waits for an answer gets ActorDied."""
        self._is_closed = True
        for desk in self._desks.values():
            desk.shut("the bus was closed")

    def statistics(self) -> AskStatistics:
        """What was asked so far, and what became of it."""
        return AskStatistics(
            asked=self._asked,
            answered=self._answered,
            late=self._late,
            timed_out=self._timed_out,
            died=self._died,
            cycles=self._cycles,
            outstanding=sum(desk.outstanding for desk in self._desks.values()),
            desks=tuple(desk.statistics() for desk in self._desks.values()),
        )

    async def _settle(self, desk: Desk, question: Question, timeout_s: float) -> None:
        try:
            with anyio.move_on_after(timeout_s):
                await desk.accept(question)
                await question.settled.wait()
        except ActorDied:
            self._died += 1
            raise
        finally:
            desk.withdraw(question)
        if question.error is not None:
            self._died += isinstance(question.error, ActorDied)
            raise question.error
        if not question.is_answered:
            self._timed_out += 1
            raise DeadlineExceeded(desk.name, type(question.message).__name__, timeout_s)
        self._answered += 1

    def _count_late(self) -> None:
        self._late += 1
