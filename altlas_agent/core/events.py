"""One frozen class per fact that may be announced, and the envelope that the bus puts it in."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias, dataclass_transform, get_args

import msgspec

from altlas_agent.core.records import Judged, Record
from altlas_agent.core.requests import RungChange  # noqa: TC001 - msgspec looks it up in this module


class Lane(enum.StrEnum):
    """What kind of traffic an event is."""

    CONTROL = "control"
    DATA = "data"
    TELEMETRY = "telemetry"


@dataclass_transform(frozen_default=True, kw_only_default=True)  # tells type checkers what subclasses are
class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, forbid_unknown_fields=True
):
    """The base of every event: a closed record that names its type on the wire.

    A durable event takes the next number of its run and is stored. An ephemeral one takes no number:
    whoever misses it has missed nothing that can be asked for again.
    """

    durable: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.DATA


class RunStarted(Event):
    """A run began, over `tasks` tasks of a suite."""

    run_id: int
    suite: str
    seed: int
    tasks: int


class RunEnded(Event):
    """A run is over; `reason` says why in a word or a sentence."""

    run_id: int
    reason: str
    attempts: int
    solved: int


class AttemptScored(Event):
    """An attempt was run and scored."""

    judged: Judged


class TaskSolved(Event):
    """A task of the suite was solved for the first time."""

    task_key: str
    attempt_number: int
    code: str


class PolicyUpdated(Event):
    """The student took a step: `version` is the policy that came of it."""

    version: int
    metrics: dict[str, float]


class GroupDropped(Event):
    """A group taught nothing; `reason` says why it was not learned from."""

    group: int
    reason: str


class CheckpointSaved(Event):
    """A checkpoint lies complete on disk, under the hash of its content."""

    version: int
    path: str
    sha256: str


class JailChosen(Event):
    """What programs of this run are jailed with: a rung of the ladder and its layers.

    Said at the start, and again after each RungChanged.
    """

    rung: str
    layers: tuple[str, ...]


class WorkerLost(Event):
    """A sandbox worker died; what it held is done again."""

    lane: ClassVar[Lane] = Lane.CONTROL

    worker: str
    detail: str


class RungChanged(Event):
    """A sandbox worker runs programs of a language on another rung of the ladder than before."""

    lane: ClassVar[Lane] = Lane.CONTROL

    worker: str
    change: RungChange


class Note(Event):
    """Something for people to read. `level` is a name of the logging module in lower case."""

    level: str
    text: str


class Progress(Event):
    """How far the run is, for gauges."""

    durable: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.TELEMETRY

    attempts: int
    solved: int
    best_score: float
    attempts_per_s: float


AnyEvent: TypeAlias = (
    RunStarted
    | RunEnded
    | AttemptScored
    | TaskSolved
    | PolicyUpdated
    | GroupDropped
    | CheckpointSaved
    | JailChosen
    | WorkerLost
    | RungChanged
    | Note
    | Progress
)

EVENT_TYPES: frozenset[type[Event]] = frozenset(get_args(AnyEvent))


class Envelope(Record):
    """An event with its place in the run.

    `seq` counts the durable events of the run: 1, 2, 3 ... without gaps. An ephemeral event carries
    the `seq` of the last durable one before it, and its own count in `ephemeral_seq` (0 means
    durable). `cause_seq` is the event that led to this one.
    """

    run_id: int
    seq: int
    monotonic_ns: int
    wall_ns: int
    event: AnyEvent
    cause_seq: int | None = None
    ephemeral_seq: int = 0


def encode(envelope: Envelope) -> bytes:
    """The envelope as msgpack, for frames and logs of events."""
    return _envelope_encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """What `encode` wrote. Raises msgspec.DecodeError for anything else."""
    return _envelope_decoder.decode(data)


def event_to_json(event: AnyEvent) -> str:
    """The event alone as JSON text; the field `type` names its class."""
    return _event_encoder.encode(event).decode()


def event_from_json(text: str) -> AnyEvent:
    """What `event_to_json` wrote. Raises msgspec.DecodeError for anything else."""
    return _event_decoder.decode(text)


_envelope_encoder = msgspec.msgpack.Encoder()
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)
_event_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
