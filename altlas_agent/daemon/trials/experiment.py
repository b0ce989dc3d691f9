"""Carries out an experiment: its runs one after the other, each stored like any run. What is there is not run again."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from altlas_agent.daemon.assembly import train
from altlas_agent.daemon.plan import RunPlan
from altlas_agent.evaluation.experiments.results import Ended
from altlas_agent.tasks.loader import load_suite
from storage.database import FILE_NAME as DATABASE
from storage.database import open_reader
from storage.reading import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anyio.abc import TaskStatus

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.evaluation.experiments.plan import Experiment, Trial


async def carry_out(home: Path, experiment: Experiment, tell: Callable[[str], None]) -> None:
    """Run what has not been run to its end yet; `tell` hears of each run. Raises what `train` raises."""
    suite = load_suite(experiment.suite)
    done = {(run.arm, run.seed) for run in ended(home, experiment)}
    trials = list(experiment.trials())
    for number, trial in enumerate(trials, start=1):
        if (trial.arm, trial.seed) in done:
            continue
        tell(f"{number} of {len(trials)}: {trial.arm}, seed {trial.seed}")
        plan = RunPlan(home=home, suite=suite, settings=trial.settings, name=trial.name)
        result = await train(plan, _hear_nothing)
        if result.reason.is_by_hand:
            return


async def _hear_nothing(bus: Bus, *, task_status: TaskStatus[None]) -> None:
    del bus
    task_status.started()


def ended(home: Path, experiment: Experiment) -> tuple[Ended, ...]:
    """The runs of this experiment that came to their end under the settings it names now, the newest of each."""
    if not (home / DATABASE).exists():
        return ()
    with closing(open_reader(home / DATABASE)) as connection:
        return tuple(_ended(connection, experiment))


def _ended(connection: sqlite3.Connection, experiment: Experiment) -> Iterator[Ended]:
    names = {trial.name: trial for trial in experiment.trials()}
    seen: set[str] = set()
    for run in queries.runs_page(connection, limit=0):
        trial = names.get(run.name)
        if trial and run.status == "ended" and run.name not in seen and _is_same(connection, run.id, trial):
            seen.add(run.name)
            solved = tuple(task.solved_attempt for task in queries.tasks_of(connection, run.id))
            yield Ended(trial.arm, trial.seed, run.id, solved, run.attempts)


def _is_same(connection: sqlite3.Connection, run_id: int, trial: Trial) -> bool:
    return queries.run_settings(connection, run_id) == trial.settings.model_dump_json()
