"""What was seen of one run, over all lives of its process, and what of that breaks a promise of the bus."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from altlas_agent.core.events import Lane, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.events import Envelope


@dataclass(frozen=True)
class Ears:
    """One subscription in one life. `start` is set where it promised to miss nothing from there on."""

    life: int
    name: str
    in_order: bool
    start: int | None = None


@dataclass
class History:
    """Everything that happened, as told by those it happened to. `faults` says what must not have."""

    announced: list[tuple[int, Envelope]] = field(default_factory=list)
    """Each with the life in which `publish` returned it."""
    acknowledged: list[Envelope] = field(default_factory=list)
    heard: dict[Ears, list[Envelope]] = field(default_factory=lambda: defaultdict(list))
    effects: list[Envelope] = field(default_factory=list)
    """What a consumer did that keeps a cursor and acts on committed events only."""
    stored: list[Envelope] = field(default_factory=list)
    """What lies in the store in the end."""

    def faults(self) -> list[str]:
        """Every broken promise in a sentence."""
        return [
            *self._gaps(),
            *self._losses(),
            *self._doubled_effects(),
            *self._unannounced(),
            *(fault for ears, envelopes in self.heard.items() for fault in _disorder(ears, envelopes)),
        ]

    def _gaps(self) -> Iterator[str]:
        for place, envelope in enumerate(self.stored, 1):
            if envelope.seq != place:
                yield f"gap: event {envelope.seq} is stored where {place} belongs"
                return

    def _losses(self) -> Iterator[str]:
        kept = _frames(self.stored)
        for envelope in self.acknowledged:
            if kept.get(envelope.seq) != encode(envelope):
                yield f"loss: event {envelope.seq} was acknowledged and is not what is stored"

    def _doubled_effects(self) -> Iterator[str]:
        kept, done = _frames(self.stored), set[int]()
        for envelope in self.effects:
            if envelope.seq in done:
                yield f"effect: event {envelope.seq} had its effect twice"
            if kept.get(envelope.seq) != encode(envelope):
                yield f"effect: event {envelope.seq} had an effect and is not what is stored"
            done.add(envelope.seq)
        if missing := set(range(1, max(done, default=0))) - done:
            yield f"effect: events {sorted(missing)} had none"

    def _unannounced(self) -> Iterator[str]:
        """What is stored was announced in some life, and what is heard live in this one or before it."""
        lives: dict[bytes, int] = {}
        for life, envelope in self.announced:
            lives.setdefault(encode(envelope), life)
        for envelope in self.stored:
            if encode(envelope) not in lives:
                yield f"stored: event {envelope.seq} was never announced with these bytes"
        for ears, envelopes in self.heard.items():
            for envelope in envelopes:
                if lives.get(encode(envelope), ears.life + 1) > ears.life:
                    yield f"heard: {ears.name} heard event {envelope.seq}, which was never announced so"


def _frames(envelopes: list[Envelope]) -> dict[int, bytes]:
    return {envelope.seq: encode(envelope) for envelope in envelopes}


def _disorder(ears: Ears, envelopes: list[Envelope]) -> Iterator[str]:
    lanes = [tuple(Lane)] if ears.in_order else [(lane,) for lane in Lane]
    for lane in lanes:
        seqs = [each.seq for each in envelopes if each.event.durable and each.event.lane in lane]
        for earlier, later in pairwise(seqs):
            if later == earlier:
                yield f"repetition: {ears.name} heard event {later} twice in life {ears.life}"
            elif later < earlier:
                yield f"disorder: {ears.name} heard event {later} after {earlier} in life {ears.life}"
    seqs = [each.seq for each in envelopes if each.event.durable]
    if ears.start is not None and seqs != list(range(ears.start, ears.start + len(seqs))):
        yield f"gap: {ears.name} missed an event from {ears.start} on in life {ears.life}"
