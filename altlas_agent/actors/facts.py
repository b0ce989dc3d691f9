"""What a training loop announces, each fact once in the life of a run.

A loop that goes on from a checkpoint does again what it did behind it: the same attempts, since chance
and weights are those of then. What is stored of that already is neither run nor announced again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from anyio import CancelScope

from altlas_agent.actors.fitting import bare
from altlas_agent.core.errors import EventRefused, RunRefusedError
from altlas_agent.core.events import (
    AttemptScored,
    GroupDropped,
    Note,
    PolicyUpdated,
    SettingsSteered,
    TaskSolved,
    WeightsReset,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import AnyEvent, Envelope
    from altlas_agent.core.records import Attempt, Judged
    from altlas_agent.core.requests import Learned, ResetWeights


class Told:
    """What is stored behind a checkpoint, by what it is about."""

    def __init__(self, envelopes: Iterable[Envelope] = ()) -> None:
        self.attempts: dict[int, tuple[int, Judged]] = {}
        self.steers: dict[int, list[Mapping[str, object]]] = defaultdict(list)
        self.resets: dict[int, list[ResetWeights]] = defaultdict(list)
        self._others: set[tuple[str, object]] = set()
        for envelope in envelopes:
            self._take(envelope)

    def has(self, event: AnyEvent) -> bool:
        """True when the same fact is stored."""
        return _subject(event) in self._others

    def _take(self, envelope: Envelope) -> None:
        match envelope.event:
            case AttemptScored(judged=judged):
                self.attempts[judged.attempt.number] = (envelope.seq, judged)
            case SettingsSteered(batch=batch, changes=changes):
                self.steers[batch].append(
                    {name: msgspec.json.decode(text, type=object) for name, text in changes.items()}
                )
            case WeightsReset(batch=batch, request=request):
                self.resets[batch].append(request)
            case event:
                self._others.add(_subject(event))


class Facts:
    """Announces over the bus what was not announced before."""

    def __init__(self, bus: Bus, told: Told) -> None:
        self._bus = bus
        self._told = told

    @property
    def is_replaying(self) -> bool:
        """True while something stored lies ahead. A checkpoint written now would not know of it."""
        return bool(self._told.attempts or self._told.steers or self._told.resets)

    def recorded(self, attempt: Attempt) -> Judged | None:
        """The stored verdict on an attempt that is proposed again; None when there is none.

        Raises RunRefusedError when another program is stored under its number: then this is not the
        same run.
        """
        found = self._told.attempts.get(attempt.number)
        if found is None:
            return None
        judged = found[1]
        if judged.attempt.tokens != attempt.tokens or judged.attempt.task_id != attempt.task_id:
            raise RunRefusedError(
                f"attempt {attempt.number} was another program before the interruption, so the run cannot go "
                "on as it was (another version of AltLAS, of torch, or of the tasks); "
                "start it anew: altlas run start"
            )
        return judged

    def steers(self, batch: int) -> list[Mapping[str, object]]:
        """How settings were steered before this batch, the first time; each is given once."""
        return self._told.steers.pop(batch, [])

    def resets(self, batch: int) -> list[ResetWeights]:
        """Which weights were drawn anew before this batch, the first time; each is given once."""
        return self._told.resets.pop(batch, [])

    async def attempt(self, judged: Judged) -> int:
        """Announce a judged attempt; gives the number of the event."""
        found = self._told.attempts.pop(judged.attempt.number, None)
        return found[0] if found else (await self._publish_attempt(judged)).seq

    async def solved(self, key: str, judged: Judged, cause_seq: int) -> None:
        """Announce that a task is solved for the first time."""
        attempt = judged.attempt
        event = TaskSolved(task_key=key, attempt_number=attempt.number, code=attempt.code)
        if not self._told.has(event):
            await self._bus.publish(event, cause_seq=cause_seq)

    async def noted(self, text: str) -> None:
        """Warn people of something."""
        event = Note(level="warning", text=text)
        if not self._told.has(event):
            await self._bus.publish(event)

    async def learned(self, learned: Learned) -> None:
        """Announce a step of the student, whole: or a version would have no numbers."""
        updated = PolicyUpdated(version=learned.version, metrics=learned.metrics)
        dropped = [GroupDropped(group=group, reason=reason) for group, reason in learned.dropped.items()]
        events: list[GroupDropped | PolicyUpdated] = [*dropped, updated]
        with CancelScope(shield=True):
            for event in events:
                if not self._told.has(event):
                    await self._bus.publish(event)

    async def steered(self, batch: int, changes: Mapping[str, object]) -> None:
        """Announce that settings are steered from this batch on."""
        texts = {name: msgspec.json.encode(value).decode() for name, value in changes.items()}
        await self._bus.publish(SettingsSteered(batch=batch, changes=texts))

    async def reset(self, batch: int, request: ResetWeights, numbers: int) -> None:
        """Announce that weights were drawn anew before this batch."""
        await self._bus.publish(WeightsReset(batch=batch, request=request, numbers=numbers))

    async def _publish_attempt(self, judged: Judged) -> Envelope:
        try:
            return await self._bus.publish(AttemptScored(judged=judged))
        except EventRefused:  # too big, or a bug that is refused again
            return await self._bus.publish(AttemptScored(judged=bare(judged)))


def _subject(event: AnyEvent) -> tuple[str, object]:
    """What a fact is about: of two facts about the same only the first is told."""
    match event:
        case TaskSolved(task_key=subject) | GroupDropped(group=subject) | PolicyUpdated(version=subject):
            return type(event).__name__, subject
        case Note(text=text):
            return type(event).__name__, text
        case _:
            return type(event).__name__, None
