"""One frozen class per fact that may be announced, and the envelope that the bus puts it in."""

from __future__ import annotations

import enum
from typing import ClassVar, TypeAlias, dataclass_transform, get_args

import msgspec

from altlas_agent.core.records import Judged, Record
from altlas_agent.core.requests import (  # noqa: TC001 - msgspec looks them up in this module
    ResetWeights,
    RungChange,
)


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

    `type_version` goes up when a field of a type goes or changes its meaning. The tag of version 1 is
    the name alone, later ones are `tag="Name/version"`: bytes of another version are refused, or read by
    a class of their own, and never taken for this one.
    """

    type_version: ClassVar[int] = 1
    durable: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.DATA


class RunStarted(Event):
    """A run began, over `tasks` tasks of a suite, which lies at `suite_path` under this SHA-256."""

    run_id: int
    suite: str
    seed: int
    tasks: int
    suite_path: str = ""
    suite_sha256: str = ""


class RunResumed(Event):
    """A run goes on after an interruption, from the checkpoint of `version`; "" when from its beginning.

    `attempts` were consumed up to there; what was stored behind it is learned from again, not run again.
    """

    version: int
    checkpoint: str
    attempts: int


class RunPaused(Event):
    """No further step is taken until RunContinued."""

    lane: ClassVar[Lane] = Lane.CONTROL

    attempts: int


class RunContinued(Event):
    """A pause is over."""

    lane: ClassVar[Lane] = Lane.CONTROL

    attempts: int


class SettingsSteered(Event):
    """Live settings changed before batch `batch` was learned from; values are JSON text by dotted name."""

    lane: ClassVar[Lane] = Lane.CONTROL

    batch: int
    changes: dict[str, str]


class WeightsReset(Event):
    """Weights of the student, or what its optimiser knew of them, were drawn anew before batch `batch` was learned from.

    `numbers` is how many weights that were.
    """

    lane: ClassVar[Lane] = Lane.CONTROL

    batch: int
    request: ResetWeights
    numbers: int


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


class PolicyBuilt(Event):
    """What the student is made of: how many weights, and name of a part to its size, or to off.

    Said at the start, and again when a run goes on.
    """

    parameters: int
    features: dict[str, str]


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


class ActorDied(Event):
    """A supervised actor ended when it should not have, or fell silent; `restarts` is how often it was restarted."""

    lane: ClassVar[Lane] = Lane.CONTROL

    actor: str
    reason: str
    restarts: int


class ActorRestarted(Event):
    """An actor lives again, `after_s` seconds after its death; this was restart number `restarts`."""

    lane: ClassVar[Lane] = Lane.CONTROL

    actor: str
    restarts: int
    after_s: float


class Degraded(Event):
    """A group of actors died so often that it was given up for now; everything else goes on."""

    lane: ClassVar[Lane] = Lane.CONTROL

    group: str
    reason: str


class Recovered(Event):
    """A group that was given up lives again, `after_s` seconds later."""

    lane: ClassVar[Lane] = Lane.CONTROL

    group: str
    after_s: float


class LoopBlocked(Event):
    """Something kept the event loop from turning over.

    `blocked_s` is for how long so far, or, when `is_over`, in all. `stack` is where its thread was, outermost
    call first, and `tasks` what else waited, each with its innermost call.
    """

    lane: ClassVar[Lane] = Lane.CONTROL

    handler: str
    blocked_s: float
    is_over: bool
    stack: tuple[str, ...]
    tasks: tuple[str, ...]


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


class EventsDropped(Event):
    """A listener was too slow and lost `dropped` events since this was last said, `dropped_ever` in all."""

    durable: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.TELEMETRY

    listener: str
    dropped: int
    dropped_ever: int


class ListenerCut(Event):
    """A listener did not keep up and was cut off; it, or its supervisor, may begin again."""

    durable: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.CONTROL

    listener: str
    reason: str


AnyEvent: TypeAlias = (
    RunStarted
    | RunResumed
    | RunPaused
    | RunContinued
    | SettingsSteered
    | WeightsReset
    | RunEnded
    | AttemptScored
    | TaskSolved
    | PolicyUpdated
    | GroupDropped
    | CheckpointSaved
    | PolicyBuilt
    | JailChosen
    | WorkerLost
    | RungChanged
    | ActorDied
    | ActorRestarted
    | Degraded
    | Recovered
    | LoopBlocked
    | Note
    | Progress
    | EventsDropped
    | ListenerCut
)

EVENT_TYPES: frozenset[type[Event]] = frozenset(get_args(AnyEvent))


class Envelope(Record):
    """An event with its place in the run.

    `seq` counts the durable events of the run: 1, 2, 3 ... without gaps. An ephemeral event carries
    the `seq` of the last durable one before it, and its own count in `ephemeral_seq` (0 means
    durable). `cause_seq` is the event that led to this one. `payload` is the event as msgpack, made once:
    these bytes are stored and sent; without them they are made when they are needed.
    """

    run_id: int
    seq: int
    monotonic_ns: int
    wall_ns: int
    event: AnyEvent
    cause_seq: int | None = None
    ephemeral_seq: int = 0
    payload: bytes = b""


class _Frame(Record):
    """An envelope on the wire, around the bytes that its event has become."""

    run_id: int
    seq: int
    monotonic_ns: int
    wall_ns: int
    event: msgspec.Raw
    cause_seq: int | None
    ephemeral_seq: int


def unpack(payload: bytes) -> AnyEvent:
    """The event of an envelope's payload. Raises msgspec.DecodeError for what is no sound event."""
    return _payload_decoder.decode(payload)


def encode(envelope: Envelope) -> bytes:
    """The envelope as msgpack, for frames and logs of events; the same bytes live and from the store."""
    frame = _Frame(
        run_id=envelope.run_id,
        seq=envelope.seq,
        monotonic_ns=envelope.monotonic_ns,
        wall_ns=envelope.wall_ns,
        event=msgspec.Raw(envelope.payload or _encoder.encode(envelope.event)),
        cause_seq=envelope.cause_seq,
        ephemeral_seq=envelope.ephemeral_seq,
    )
    return _encoder.encode(frame)


def decode(data: bytes) -> Envelope:
    """What `encode` wrote. Raises msgspec.DecodeError for anything else."""
    frame = _frame_decoder.decode(data)
    payload = bytes(frame.event)
    return Envelope(
        run_id=frame.run_id,
        seq=frame.seq,
        monotonic_ns=frame.monotonic_ns,
        wall_ns=frame.wall_ns,
        event=unpack(payload),
        cause_seq=frame.cause_seq,
        ephemeral_seq=frame.ephemeral_seq,
        payload=payload,
    )


def event_to_json(event: AnyEvent) -> str:
    """The event alone as JSON text; the field `type` names its class."""
    return _json_encoder.encode(event).decode()


def event_from_json(text: str) -> AnyEvent:
    """What `event_to_json` wrote. Raises msgspec.DecodeError for anything else."""
    return _json_decoder.decode(text)


_encoder = msgspec.msgpack.Encoder()
_payload_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_frame_decoder = msgspec.msgpack.Decoder(_Frame)
_json_encoder = msgspec.json.Encoder()
_json_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
