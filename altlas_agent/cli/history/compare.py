"""altlas run compare: what differs between runs, and how far each was after as many attempts."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import click

from altlas_agent.cli.formats.form import Form, Kind, form_options
from altlas_agent.cli.formats.frame import Frame
from altlas_agent.cli.formats.listing import Cut, write_frame
from altlas_agent.cli.history.opening import reading
from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option
from altlas_agent.cli.output import Column, note, score, write_line, write_table
from storage.reading import queries
from storage.reading.compare import curve_steps, flat_settings, step_width, task_results
from storage.reading.status import as_it_is

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from storage.reading.compare import Scalar, Step, TaskResult
    from storage.reading.views import RunView

_STEPS = 12
_FACTS: dict[str, Callable[[RunView], Scalar]] = {
    "name": lambda run: run.name,
    "suite": lambda run: run.suite,
    "seed": lambda run: run.seed,
    "status": lambda run: run.status,
    "reason": lambda run: run.reason,
    "version": lambda run: run.version,
    "jail": lambda run: run.jail_rung,
    "tasks": lambda run: run.tasks,
    "solved": lambda run: run.solved,
    "attempts": lambda run: run.attempts,
    "best_score": lambda run: run.best_score,
    "wall_s": lambda run: round(run.wall_s, 3),
    "attempts_per_s": lambda run: round(run.attempts / run.wall_s, 2) if run.wall_s else None,
}


class Line(NamedTuple):
    """One thing that is compared: its `part`, its name there, and a value for each run."""

    part: str
    name: str
    values: tuple[Scalar, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", shell_complete=complete_runs)
@click.option("--only-changed", is_flag=True, help="Leave out what is the same in all of them.")
@click.option(
    "--steps",
    type=click.IntRange(min=1, max=1000),
    default=_STEPS,
    show_default=True,
    metavar="N",
    help="How many points of the curves, at most.",
)
@form_options(limit=0)
@home_option
def compare_runs(
    *, runs: tuple[str, ...], only_changed: bool, steps: int, form: Form, home: str | None
) -> None:
    """Compare runs, side by side: settings, tasks solved and when, and their curves.

    Settings that are the same are left out. The curves are given at the same numbers of attempts: how many
    tasks were solved by then, and the mean and the best score of the attempts since the line before. For
    programs each line is a row with a `part`, a `name` and a value for each run.
    """
    with reading(home) as connection:
        views = _found(connection, runs)
        lines = [
            *_facts(views),
            *_settings(connection, views),
            *_tasks(connection, views),
            *_curves(connection, views, steps),
        ]
    if only_changed:
        lines = [line for line in lines if line.differs]
    if form.kind is Kind.TABLE and not form.fields:
        _print(views, lines)
        return
    shown = lines[: form.limit] if form.limit else lines
    names = ("part", "name", *(f"r{run.id}" for run in views))
    rows = [(line.part, line.name, *line.values) for line in shown]
    cut = Cut(len(shown) < len(lines), len(lines))
    write_frame(Frame(names, rows), form, cut=cut, extra={"runs": views})


def _found(connection: sqlite3.Connection, runs: tuple[str, ...]) -> list[RunView]:
    views = [as_it_is(queries.find_run(connection, run)) for run in runs]
    if len({view.id for view in views}) < max(2, len(views)):
        raise click.UsageError("name two different runs or more: altlas run compare r1 r2")
    return views


def _facts(views: list[RunView]) -> Iterator[Line]:
    for name, fact in _FACTS.items():
        yield Line("run", name, tuple(map(fact, views)))


def _settings(connection: sqlite3.Connection, views: list[RunView]) -> Iterator[Line]:
    settings = [flat_settings(queries.run_settings(connection, view.id)) for view in views]
    for key in sorted({key for each in settings for key in each}):
        line = Line("setting", key, tuple(each.get(key) for each in settings))
        if line.differs:
            yield line


def _tasks(connection: sqlite3.Connection, views: list[RunView]) -> Iterator[Line]:
    """When each task was solved, and how well those that were not."""
    results = [{task.key: task for task in task_results(connection, view.id)} for view in views]
    parts: dict[str, Callable[[TaskResult], Scalar]] = {
        "solved_at": lambda task: task.solved_attempt,
        "task_attempts": lambda task: task.attempts,
        "task_best_score": lambda task: task.best_score,
    }
    keys = sorted({key for each in results for key in each})
    for part, value in parts.items():
        for key in keys:
            yield Line(part, key, tuple(value(each[key]) if key in each else None for each in results))


def _curves(connection: sqlite3.Connection, views: list[RunView], steps: int) -> Iterator[Line]:
    width = step_width(connection, [view.id for view in views], steps=steps)
    curves = [{step.until: step for step in curve_steps(connection, view.id, width=width)} for view in views]
    solved = [
        sorted(
            task.solved_attempt
            for task in task_results(connection, view.id)
            if task.solved_attempt is not None
        )
        for view in views
    ]
    marks = sorted({until for curve in curves for until in curve})
    for until in marks:
        values = tuple(
            bisect_right(numbers, until - 1) if until in curve else None
            for numbers, curve in zip(solved, curves, strict=True)
        )
        yield Line("tasks_solved_by", str(until), values)
    parts: dict[str, Callable[[Step], Scalar]] = {
        "mean_score_by": lambda step: step.mean_score,
        "best_score_by": lambda step: step.best_score,
    }
    for part, value in parts.items():
        for until in marks:
            yield Line(
                part, str(until), tuple(value(curve[until]) if until in curve else None for curve in curves)
            )


def _print(views: list[RunView], lines: list[Line]) -> None:
    parts: dict[str, dict[str, tuple[Scalar, ...]]] = {}
    for line in lines:
        parts.setdefault(line.part, {})[line.name] = line.values
    heads = [Column(f"r{view.id}", is_number=True) for view in views]
    _print_part("run", heads, parts.get("run", {}), _plain)
    if settings := parts.get("setting"):
        _print_part("setting", heads, settings, _plain)
    else:
        note("the settings are the same")
    _print_tasks(heads, parts)
    _print_curves(heads, parts)


def _print_part(
    title: str, heads: list[Column], rows: dict[str, tuple[Scalar, ...]], cell: Callable[[Scalar], str]
) -> None:
    if rows:
        write_table([Column(title), *heads], [[name, *map(cell, values)] for name, values in rows.items()])
        write_line("")


def _print_tasks(heads: list[Column], parts: dict[str, dict[str, tuple[Scalar, ...]]]) -> None:
    """The attempt that solved each task; where none did, the best score in brackets."""
    best = parts.get("task_best_score", {})
    rows = [
        [
            key,
            *(_solved(number, score) for number, score in zip(numbers, best.get(key, numbers), strict=True)),
        ]
        for key, numbers in parts.get("solved_at", {}).items()
    ]
    if rows:
        write_table([Column("task, solved at"), *heads], rows)
        write_line("")


def _print_curves(heads: list[Column], parts: dict[str, dict[str, tuple[Scalar, ...]]]) -> None:
    solved, mean = parts.get("tasks_solved_by", {}), parts.get("mean_score_by", {})
    none = (None,) * len(heads)
    marks = sorted({*solved, *mean}, key=int)
    if marks:
        columns = [
            Column(f"{what} {head.title}", is_number=True) for what in ("solved", "mean") for head in heads
        ]
        rows = [
            [mark, *map(_plain, solved.get(mark, none)), *map(_score, mean.get(mark, none))] for mark in marks
        ]
        write_table([Column("attempts", is_number=True), *columns], rows)


def _plain(value: Scalar) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _score(value: Scalar) -> str:
    return score(value if isinstance(value, float) else None)


def _solved(number: Scalar, best: Scalar) -> str:
    return str(number) if number is not None else f"- ({_score(best)})"
