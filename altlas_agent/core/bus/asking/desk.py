"""Where one actor takes its questions, one after the other, and the chain of who waits for whom.

loop       waits for           unblocked by
---------  ------------------  ---------------------------------------------
`accept`   room at the desk    the actor; `shut`; the timeout of the asker
actor      a question          an asker; `shut`
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.lowlevel

from altlas_agent.core.bus.statistics import DeskStatistics
from altlas_agent.core.errors import ActorDied

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Self

    from altlas_agent.core.errors import AltlasError
    from altlas_agent.core.records import Record

T = TypeVar("T")

CAPACITY = 1024
"""How many questions may wait at one desk."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """An answer. `cause_seq` is the event it rests on: what led to the question, or what the actor named."""

    value: T
    cause_seq: int


class Question:
    """One question as its actor sees it. To be answered or refused once."""

    def __init__(self, message: Record, cause_seq: int) -> None:
        self.message = message
        self.cause_seq = cause_seq
        self.value: Record | None = None
        self.error: AltlasError | None = None
        self.is_taken = self.is_answered = self.is_withdrawn = False
        self.settled = anyio.Event()
        self.asker = _minded.get()
        self._parent = _handled.get()
        self._on_late: Callable[[], None] = _nobody

    @property
    def is_open(self) -> bool:
        """True while somebody waits for the answer."""
        return not (self.is_withdrawn or self.settled.is_set())

    def answer(self, value: Record, *, cause_seq: int | None = None) -> None:
        """Give the answer. One that nobody waits for any more is dropped and counted."""
        if self._settle():
            self.value, self.is_answered = value, True
            self.cause_seq = self.cause_seq if cause_seq is None else cause_seq

    def refuse(self, error: AltlasError) -> None:
        """Have the asker get this error."""
        if self._settle():
            self.error = error

    def waiting(self) -> list[str]:
        """The actors that wait in the end for the answer to this, the first one first."""
        before = self._parent.waiting() if self._parent is not None and self._parent.is_open else []
        return [*before, self.asker] if self.asker and self.asker not in before else before

    def arrive(self, on_late: Callable[[], None]) -> None:
        """It is at its desk, which counts late answers."""
        self._on_late = on_late

    def _settle(self) -> bool:
        if not self.is_open:
            self._on_late()
            return False
        self.settled.set()
        return True


def _nobody() -> None:
    """Before a question is at a desk, no answer can be late."""


_minded: ContextVar[str] = ContextVar("_minded", default="")
_handled: ContextVar[Question | None] = ContextVar("_handled", default=None)


def chain_to(name: str) -> list[str]:
    """Who would wait for whom if the actor at work here asked `name`; empty when that is no cycle."""
    question = _handled.get()
    waiting = question.waiting() if question is not None and question.is_open else []
    if (me := _minded.get()) and me not in waiting:
        waiting.append(me)
    return [*waiting[waiting.index(name) :], name] if name in waiting else []


class Desk:
    """The questions to one actor, in order. Iterate over it; it ends when it is shut."""

    def __init__(self, name: str, *, on_late: Callable[[], None]) -> None:
        self.name = name
        self._on_late = on_late
        self._queue: deque[Question] = deque()
        self._open: set[Question] = set()
        self._end = ""
        self._asked, self._room = anyio.Event(), anyio.Event()
        self._taken = self._answered = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Question:
        await anyio.lowlevel.checkpoint()
        _handled.set(None)
        while not self._queue:
            if self._end:
                raise StopAsyncIteration
            self._asked = anyio.Event()
            await self._asked.wait()
        self._taken += 1
        question = self._queue.popleft()
        question.is_taken = True
        self._room.set()
        _handled.set(question)
        return question

    @property
    def outstanding(self) -> int:
        """How many wait for an answer."""
        return len(self._open)

    @contextmanager
    def minding(self) -> Generator[None]:
        """In this block, and in tasks that it starts, asking is done by this actor."""
        minded, handled = _minded.set(self.name), _handled.set(None)
        try:
            yield
        finally:
            _handled.reset(handled)
            _minded.reset(minded)

    async def accept(self, question: Question) -> None:
        """Queue a question; waits while `CAPACITY` others are queued. Raises ActorDied once it is shut."""
        while len(self._queue) >= CAPACITY and not self._end:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()
        if self._end:
            raise ActorDied(self.name, self._end)
        question.arrive(self._on_late)
        self._open.add(question)
        self._queue.append(question)
        self._asked.set()

    def withdraw(self, question: Question) -> None:
        """Nobody waits for the answer any more; what was not taken yet is not asked at all."""
        self._answered += question.is_answered
        question.is_withdrawn = True
        self._open.discard(question)
        if not question.is_taken and question in self._queue:
            self._queue.remove(question)
            self._room.set()

    def shut(self, detail: str) -> None:
        """Take no more questions; everybody who waits gets ActorDied."""
        self._end = self._end or detail
        for question in list(self._open):
            question.refuse(ActorDied(self.name, self._end))
        self._queue.clear()
        self._asked.set()
        self._room.set()

    def statistics(self) -> DeskStatistics:
        """What has gone over it so far."""
        return DeskStatistics(
            name=self.name,
            queued=len(self._queue),
            outstanding=self.outstanding,
            taken=self._taken,
            answered=self._answered,
        )
