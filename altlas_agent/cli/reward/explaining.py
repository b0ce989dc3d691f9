"""altlas reward explain: scorers, tests, shaping and the fate of the group of one attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from altlas_agent.cli.history.opening import reading
from altlas_agent.cli.naming.arguments import Place
from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import Column, score, write_json, write_line, write_table
from altlas_agent.core.records import Arm, Outcome, Record, Score, Status, Task
from altlas_agent.rewards.explain import Explanation, Facts, explain, weights_of
from storage.reading import queries
from storage.runs import fates

if TYPE_CHECKING:
    import sqlite3

    from storage.reading.views import AttemptView
    from storage.runs.fates import Fate

_PART_COLUMNS = (
    Column("scorer"),
    Column("value", is_number=True),
    Column("weight", is_number=True),
    Column("in the mean", is_number=True),
    Column("why"),
)
_ANSWER_COLUMNS = (
    Column("test", is_number=True),
    Column("hidden"),
    Column("near", is_number=True),
    Column("why"),
)
_CHANGE_COLUMNS = (
    Column("step"),
    Column("before", is_number=True),
    Column("after", is_number=True),
    Column("why"),
)


class _Explained(Record):
    """What --json writes. `fate` is None while nothing was learned from the group, or where that is not stored."""

    run_id: int
    number: int
    task: str
    arm: str
    group: int
    explanation: Explanation
    fate: Fate | None


@click.command("explain")
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("number", type=click.IntRange(min=0), required=False)
@home_option
@json_option
def explain_attempt(*, run: str, number: int | None, home: str | None, as_json: bool) -> None:
    """Say why an attempt has its score: RUN NUMBER, or RUN/NUMBER (r3 120, r3/120, @latest/7).

    Shown are each scorer with its value, its weight and what of it is in the weighted mean, each test and how
    near its answer was, what changed the mean afterwards, and what learning made of the attempt's group.
    """
    place = Place.of(run) if number is None else Place(run, number)
    with reading(home) as connection:
        explained = _explained(connection, place)
    if as_json:
        write_json(explained)
    else:
        _print(explained)


def _explained(connection: sqlite3.Connection, place: Place) -> _Explained:
    view = queries.find_attempt(connection, queries.find_run(connection, place.run).id, place.number)
    facts = Facts(
        code=view.code,
        outcome=_outcome(view),
        score=Score(
            value=view.score,
            parts={name: value for name, value in view.parts.items() if value is not None},
            solved=view.solved,
        ),
        task=_instance(connection, view),
        weights=weights_of(queries.run_settings(connection, view.run_id)),
    )
    return _Explained(
        run_id=view.run_id,
        number=view.number,
        task=view.instance_id,
        arm=view.arm,
        group=view.group_no,
        explanation=explain(facts),
        fate=fates.fate_of(connection, view.run_id, view.number, view.group_no),
    )


def _outcome(view: AttemptView) -> Outcome:
    return Outcome(
        status=Status(view.status),
        cases=view.cases,
        violations=view.violations,
        stdout=view.stdout,
        stderr=view.stderr,
    )


def _instance(connection: sqlite3.Connection, view: AttemptView) -> Task | None:
    """The task as it was asked; None where another instance of its family stands for it in the store."""
    spec = fates.task_spec(connection, view.run_id, view.task)
    try:
        task = None if spec is None else msgspec.json.decode(spec, type=Task)
    except msgspec.DecodeError:  # of another AltLAS
        return None
    return task if task is not None and task.id == view.instance_id else None


def _print(explained: _Explained) -> None:
    told = explained.explanation
    write_line(f"attempt {explained.number} of run r{explained.run_id}: {explained.task}")
    write_line(f"score {score(told.score)}, {told.why}")
    write_table(
        _PART_COLUMNS,
        [
            [part.scorer, score(part.value), _number(part.weight), score(part.contribution), part.why]
            for part in told.parts
        ],
    )
    write_table(
        _ANSWER_COLUMNS,
        [
            [str(answer.test), "yes" if answer.hidden else "no", score(answer.near), answer.why]
            for answer in told.answers
        ],
    )
    if told.changes:
        write_table(
            _CHANGE_COLUMNS,
            [[each.step, score(each.before), score(each.after), each.why] for each in told.changes],
        )
    write_line(_fate_words(explained))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _fate_words(explained: _Explained) -> str:
    group = f"group {explained.group}"
    fate = explained.fate
    if fate is None:
        return f"{group}: what was learned from it is not known, or nothing yet"
    if fate.dropped:
        return f"{group} gave no advantages to policy version {fate.version}: {fate.dropped}"
    if explained.arm != Arm.POLICY:
        return (
            f"{group} was compared for policy version {fate.version}, but without this attempt of the "
            f"{explained.arm} arm"
        )
    return f"{group} was compared for policy version {fate.version}, and this attempt with it"
