"""Events as JSON for those who listen on the socket, and the cursors by which they go on.

By default without the text of programs and what they wrote: who watches needs the facts, and foreign text
must be asked for.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent.core.events import AttemptScored, TaskSolved
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.core.events import AnyEvent, Envelope

REMEMBERED_BYTES = 4 * 1024 * 1024
"""How much JSON is kept, for the next listener to the same events."""

_CURSOR = re.compile(r"(?:([0-9a-f]{1,32})-)?([0-9]{1,18})")

_json = msgspec.json.Encoder()


class _Scored(Record, tag_field="type", tag="AttemptScored"):
    """AttemptScored without texts."""

    number: int
    group: int
    task_id: str
    policy_version: int
    arm: str
    status: str
    score: float
    solved: bool
    passed: int
    total: int
    cpu_s: float


class _Solved(Record, tag_field="type", tag="TaskSolved"):
    """TaskSolved without the program."""

    task_key: str
    attempt_number: int


class Cursor(NamedTuple):
    """How far a client has come in one run: the last committed event that it got.

    The epoch names the daemon that said so; another one means that ephemeral events begin anew.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


def cursor_of(text: str) -> Cursor:
    """From `EPOCH-SEQ`, or a number alone. Raises ValueError."""
    if not (found := _CURSOR.fullmatch(text)):
        raise ValueError(f"{text[:40]!r} is no cursor: it is a number, or EPOCH-NUMBER as it came")
    return Cursor(found[1] or "", int(found[2]))


class Wire:
    """Events to JSON. What was made for one listener is there for the next."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, int, int, bool], bytes] = OrderedDict()
        self._num_bytes = 0

    def array(self, envelopes: Iterable[Envelope], *, content: bool) -> bytes:
        """A JSON array of events; with `content` also the texts of programs."""
        return b"[" + b",".join([self._object(envelope, content) for envelope in envelopes]) + b"]"

    def _object(self, envelope: Envelope, content: bool) -> bytes:
        key = (envelope.run_id, envelope.seq, envelope.ephemeral_seq, content)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = encoded(envelope, content=content)
            self._num_bytes += len(made)
            while self._num_bytes > REMEMBERED_BYTES:
                self._num_bytes -= len(self._made.popitem(last=False)[1])
        return made


def encoded(envelope: Envelope, *, content: bool) -> bytes:
    """One event as a JSON object. A number that is not finite becomes null."""
    event = _json.encode(envelope.event if content else _without_texts(envelope.event))
    cause = b"null" if envelope.cause_seq is None else b"%d" % envelope.cause_seq
    return b'{"run":%d,"seq":%d,"ephemeral_seq":%d,"wall_ns":%d,"cause_seq":%b,"event":%b}' % (
        envelope.run_id,
        envelope.seq,
        envelope.ephemeral_seq,
        envelope.wall_ns,
        cause,
        event,
    )


def _without_texts(event: AnyEvent) -> AnyEvent | _Scored | _Solved:
    match event:
        case AttemptScored(judged=judged):
            attempt, outcome = judged.attempt, judged.outcome
            return _Scored(
                number=attempt.number,
                group=attempt.group,
                task_id=attempt.task_id,
                policy_version=attempt.policy_version,
                arm=attempt.arm,
                status=outcome.status,
                score=judged.score.value,
                solved=judged.score.solved,
                passed=sum(case.passed for case in outcome.cases),
                total=len(outcome.cases),
                cpu_s=outcome.cpu_s,
            )
        case TaskSolved(task_key=key, attempt_number=number):
            return _Solved(task_key=key, attempt_number=number)
        case _:
            return event
