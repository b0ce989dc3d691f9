"""Events are closed, typed and come back from the wire as they went."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from altlas_agent.core import events
from altlas_agent.core.bus.packing import pack
from altlas_agent.core.events import (
    EVENT_TYPES,
    ActorDied,
    ActorRestarted,
    AnyEvent,
    AttemptScored,
    CheckpointSaved,
    Degraded,
    Envelope,
    Event,
    EventsDropped,
    GroupDropped,
    JailChosen,
    ListenerCut,
    LoopBlocked,
    Note,
    PolicyBuilt,
    PolicyUpdated,
    Progress,
    Recovered,
    RunContinued,
    RunEnded,
    RungChanged,
    RunPaused,
    RunResumed,
    RunStarted,
    SettingsSteered,
    TaskSolved,
    WeightsReset,
    WorkerLost,
    decode,
    encode,
    event_from_json,
    event_to_json,
)
from altlas_agent.core.records import Arm, Attempt, CaseResult, Judged, Outcome, Score, Status
from altlas_agent.core.requests import ResetWeights, RungChange

JUDGED = Judged(
    attempt=Attempt(
        number=4, group=1, task_id="echo/one", code="print(1)", tokens=(1, 2), logps=(-0.5, -1.25), policy_version=3,
        arm=Arm.POLICY,
    ),
    outcome=Outcome(status=Status.SUCCESS, cases=(CaseResult(passed=True, hidden=False, got="1"),)),
    score=Score(value=0.75, parts={"output": 0.75}),
)  # fmt: skip
CHANGE = RungChange(
    language="python", before="zygote-full", after="landlock", layers=("landlock", "reduced"), why="no bwrap"
)
ONE_OF_EACH: list[AnyEvent] = [
    RunResumed(version=3, checkpoint="runs/r1/policy-000003.safetensors", attempts=48),
    RunPaused(attempts=48),
    RunContinued(attempts=48),
    SettingsSteered(batch=2, changes={"learning.learning_rate": "0.001"}),
    WeightsReset(batch=2, request=ResetWeights(why="it is stuck", layers=("head",)), numbers=129),
    RunStarted(run_id=1, suite="echo", seed=7, tasks=3),
    RunEnded(run_id=1, reason="solved", attempts=9, solved=3),
    AttemptScored(judged=JUDGED),
    TaskSolved(task_key="echo/one", attempt_number=4, code="print(1)"),
    PolicyUpdated(version=2, metrics={"loss": 0.5}),
    GroupDropped(group=1, reason="all scores equal"),
    CheckpointSaved(version=2, path="r1/policy-2.safetensors", sha256="ab" * 32),
    PolicyBuilt(parameters=514_400, features={"kind": "lstm", "layers": "2"}),
    JailChosen(rung="namespaces", layers=("seccomp", "rlimit")),
    WorkerLost(worker="worker-1", detail="killed by SIGKILL"),
    RungChanged(worker="worker-1", change=CHANGE),
    ActorDied(actor="api", reason="ValueError: no", restarts=2),
    ActorRestarted(actor="api", restarts=3, after_s=0.5),
    Degraded(group="api", reason="it died too often"),
    Recovered(group="api", after_s=61.0),
    LoopBlocked(
        handler="api: read", blocked_s=1.5, is_over=False, stack=("a.py:1 f",), tasks=("api: b.py:2 g",)
    ),
    Note(level="warning", text="careful"),
    Progress(attempts=9, solved=1, best_score=0.5, attempts_per_s=12.5),
    EventsDropped(listener="tui", dropped=3, dropped_ever=5),
    ListenerCut(listener="socket", reason="its buffer is full"),
]
SHAPES = {
    "RunStarted": (1, "run_id suite seed tasks suite_path suite_sha256"),
    "RunResumed": (1, "version checkpoint attempts"),
    "RunPaused": (1, "attempts"),
    "RunContinued": (1, "attempts"),
    "SettingsSteered": (1, "batch changes"),
    "WeightsReset": (1, "batch request numbers"),
    "RunEnded": (1, "run_id reason attempts solved"),
    "AttemptScored": (1, "judged"),
    "TaskSolved": (1, "task_key attempt_number code"),
    "PolicyUpdated": (1, "version metrics"),
    "GroupDropped": (1, "group reason"),
    "CheckpointSaved": (1, "version path sha256"),
    "PolicyBuilt": (1, "parameters features"),
    "JailChosen": (1, "rung layers"),
    "WorkerLost": (1, "worker detail"),
    "RungChanged": (1, "worker change"),
    "ActorDied": (1, "actor reason restarts"),
    "ActorRestarted": (1, "actor restarts after_s"),
    "Degraded": (1, "group reason"),
    "Recovered": (1, "group after_s"),
    "LoopBlocked": (1, "handler blocked_s is_over stack tasks"),
    "Note": (1, "level text"),
    "Progress": (1, "attempts solved best_score attempts_per_s"),
    "EventsDropped": (1, "listener dropped dropped_ever"),
    "ListenerCut": (1, "listener reason"),
}
"""Version and fields of each type. Who changes the fields in a way that old bytes do not fit raises the version."""


def enveloped(event: AnyEvent) -> Envelope:
    return Envelope(
        run_id=1, seq=5, monotonic_ns=10, wall_ns=20, cause_seq=4, event=event, payload=pack(event)
    )


def test_every_event_of_the_module_may_be_announced() -> None:
    defined = {kind for _, kind in inspect.getmembers(events, inspect.isclass) if issubclass(kind, Event)}
    assert defined - {Event} == EVENT_TYPES == {type(event) for event in ONE_OF_EACH}


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_the_wire_as_it_went(event: AnyEvent) -> None:
    assert decode(encode(enveloped(event))) == enveloped(event)
    assert event_from_json(event_to_json(event)) == event


def test_an_envelope_made_by_hand_has_the_same_bytes_on_the_wire() -> None:
    event = Note(level="info", text="hi")
    by_hand = Envelope(run_id=1, seq=5, monotonic_ns=10, wall_ns=20, cause_seq=4, event=event)
    assert encode(by_hand) == encode(enveloped(event))


def test_the_fields_of_a_type_change_with_its_version_only() -> None:
    shapes = {kind.__name__: (kind.type_version, " ".join(kind.__struct_fields__)) for kind in EVENT_TYPES}
    assert shapes == SHAPES


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES, key=str), ids=lambda kind: kind.__name__)
def test_the_tag_of_a_type_names_it_and_every_version_but_the_first(kind: type[Event]) -> None:
    version = kind.type_version
    tag = kind.__struct_config__.tag
    assert tag == (kind.__name__ if version == 1 else f"{kind.__name__}/{version}")


def test_bytes_of_another_version_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        event_from_json('{"type":"Note/2","level":"info","text":"hi"}')


def test_the_text_of_an_event_names_its_type() -> None:
    assert event_to_json(Note(level="info", text="hi")) == '{"type":"Note","level":"info","text":"hi"}'


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"Rumour","text":"hi"}',
        '{"type":"Note","level":"info","text":"hi","more":1}',
        '{"type":"Note"}',
    ],
)
def test_an_unknown_type_an_unknown_field_and_a_missing_field_are_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        event_from_json(text)


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(Note(level="info", text="hi"), "text", "ho")  # noqa: B010 - the checker would refuse the plain form


def test_only_gauges_and_what_the_bus_tells_of_itself_are_ephemeral() -> None:
    assert {kind for kind in EVENT_TYPES if not kind.durable} == {Progress, EventsDropped, ListenerCut}
