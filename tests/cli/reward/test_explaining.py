"""altlas reward explain: why an attempt of a run has its score."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.events import GroupDropped, PolicyUpdated
from altlas_agent.core.records import Arm
from storage.database import open_writer
from storage.rows import EventRow, Rows, attempt_row
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run
from tests.cli.history.examples import assert_harmless

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from altlas_agent.core.events import Event
    from altlas_agent.core.records import Judged

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

SETTINGS = '{"rewards": {"weights": {"output": 3.0, "syntax": 1.0}}, "run": {"seed": 7}}'
PARTS = {"output": 0.2, "syntax": 1.0, "novelty": 0.5, "shaped.start": 0.4, "shaped.price": 0.3}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One run: groups 0 and 1 in a step, the first dropped, with an attempt of another arm; group 2 not learned from."""
    home = tmp_path / "home"
    with closing(open_writer(home / "altlas.db")) as connection:
        store_run(connection, make_run_row()._replace(settings_json=SETTINGS), [make_task()])
        judged = [make_judged(number, score=0.4) for number in (7, 8, 9, 16)]
        judged[1] = _shaped(judged[1])
        judged[2] = msgspec.structs.replace(
            judged[2], attempt=msgspec.structs.replace(judged[2].attempt, arm=Arm.GRAMMAR)
        )
        rows = [attempt_row(1, each, ts_ns=NOW_NS) for each in judged]
        told: list[Event | None] = [
            PolicyUpdated(version=4, metrics={}),
            *(None, None, None),
            GroupDropped(group=0, reason="nobody passed more tests than another"),
            PolicyUpdated(version=5, metrics={}),
            None,
        ]
        attempts = iter(rows)
        events = [
            EventRow(
                *(1, seq, "AttemptScored" if event is None else type(event).__name__, seq, NOW_NS, None),
                next(attempts) if event is None else msgspec.msgpack.encode(event),
            )
            for seq, event in enumerate(told, start=1)
        ]
        store(connection, Rows(attempts=rows, events=events))
    return home


def _shaped(judged: Judged) -> Judged:
    score = msgspec.structs.replace(judged.score, value=0.3, parts=PARTS)
    cases = (judged.outcome.cases[0], msgspec.structs.replace(judged.outcome.cases[1], got='"\x1b[2J7"'))
    outcome = msgspec.structs.replace(judged.outcome, cases=cases)
    return msgspec.structs.replace(judged, score=score, outcome=outcome)


@pytest.mark.parametrize("words", [("r1", "8"), ("r1/8",), ("@latest/8",), ("first", "8")])
def test_an_attempt_is_explained(altlas: Altlas, home: Path, words: tuple[str, ...]) -> None:
    done = altlas("reward", "explain", *words)
    assert done.returncode == 0
    assert "attempt 8 of run r1: quickstart/add" in done.stdout
    assert "score 0.300, not solved: 1 of 2 tests failed; the operator + is missing" in done.stdout
    assert "output   0.200       3        0.150  mean nearness of the answers" in done.stdout
    assert "price   0.400  0.300  price of a duplicate: proposed 1 time before for this task" in done.stdout
    assert "group 1 was compared for policy version 5, and this attempt with it" in done.stdout
    assert_harmless(done.stdout)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("7", "group 0 gave no advantages to policy version 5: nobody passed more tests than another"),
        ("9", "but without this attempt of the grammar arm"),
        ("16", "what was learned from it is not known, or nothing yet"),
    ],
)
def test_the_fate_of_its_group_is_told(altlas: Altlas, home: Path, number: str, words: str) -> None:
    assert words in altlas("reward", "explain", "r1", number).stdout


def test_json_has_everything_in_one_object(altlas: Altlas, home: Path) -> None:
    answer = json.loads(altlas("reward", "explain", "r1/8", "--json").stdout)
    assert (answer["run_id"], answer["number"], answer["group"], answer["arm"]) == (1, 8, 1, "policy")
    assert answer["fate"] == {"group": 1, "version": 5, "dropped": ""}
    told = answer["explanation"]
    assert [part["scorer"] for part in told["parts"]] == ["output", "syntax", "novelty"]
    assert told["parts"][0]["contribution"] == pytest.approx(0.15)
    assert told["answers"][1]["why"].startswith('gave "\x1b[2J7", expected "8"')
    assert told["changes"][-1] == {
        "step": "price",
        "before": 0.4,
        "after": 0.3,
        "why": "price of a duplicate: proposed 1 time before for this task",
    }


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("r1",), (2, "say which attempt: r1 NUMBER, or r1/NUMBER")),
        (("r1/x",), (2, "say which attempt")),
        (("r1", "x"), (2, "'x' is not a valid integer")),
        (("r1/99",), (1, "no attempt 'r1/99'")),
        (("r9/1",), (1, "no run 'r9'")),
        ((), (2, "Missing argument 'RUN'")),
    ],
)
def test_wrong_arguments_are_one_clear_error(
    altlas: Altlas, home: Path, words: tuple[str, ...], error: tuple[int, str]
) -> None:
    code, said = error
    done = altlas("reward", "explain", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
