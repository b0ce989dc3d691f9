"""A run in this process: what is drawn meanwhile, and what is said at its end."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import click
import msgspec

from altlas_agent.cli.history.runs import print_run
from altlas_agent.cli.progress import RunProgress
from altlas_agent.core import log
from altlas_agent.core.errors import Exit, HomeBusyError, NotFoundError
from altlas_agent.daemon.assembly import go_on, train
from altlas_agent.daemon.home import prepare_home
from altlas_agent.daemon.plan import RunPlan
from altlas_agent.daemon.resume import find_interrupted
from altlas_agent.daemon.service import discovery
from altlas_agent.settings.live import steered
from altlas_agent.settings.load import restored
from storage.database import FILE_NAME as DATABASE
from storage.database import open_reader
from storage.reading import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from altlas_agent.daemon.plan import RunResult
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.loader import Suite
    from storage.reading.views import RunView, TaskView


def begin(home: Path, suite: Suite, settings: Settings, *, name: str, as_json: bool) -> int:
    """Start a run and follow it to its end; gives the exit code. Raises what `train` raises."""
    if daemon := discovery.find(home):
        raise HomeBusyError(
            f"the home {home} is held by the daemon (process {daemon.pid}); hand the run to it with --detach, "
            "or end it: altlas daemon stop"
        )
    prepare_home(home)
    log.set_up(settings.daemon.log_level, home / "log")
    plan = RunPlan(home=home, suite=suite, settings=settings, name=name)
    click.echo(f"training {suite.name}: {len(suite.entries)} tasks, seed {settings.run.seed}", err=True)
    progress = _progress(suite, settings)
    try:
        result = anyio.run(train, plan, progress.follow)
    finally:
        progress.close()
    return _ended(home, result, as_json=as_json)


def carry_on(home: Path, selector: str, changes: Mapping[str, object], *, as_json: bool) -> int:
    """Go on with a run and follow it to its end; gives the exit code. Raises what `go_on` raises."""
    path = home / DATABASE
    if not path.exists():
        raise NotFoundError("run", selector, f"there is no database {path}: altlas run start quickstart")
    with closing(open_reader(path)) as connection:
        run_id = queries.find_run(connection, selector).id
    found = find_interrupted(path, run_id)
    settings = steered(found.settings, changes)
    log.set_up(settings.daemon.log_level, home / "log")
    click.echo(f"going on with r{run_id}: {found.suite.name}, {len(found.suite.entries)} tasks", err=True)
    progress = _progress(found.suite, settings)

    async def follow() -> RunResult:
        return await go_on(home, run_id, changes, listen=progress.follow)

    try:
        result = anyio.run(follow)
    finally:
        progress.close()
    return _ended(home, result, as_json=as_json)


def unfinished(home: Path, suite: Suite, settings: Settings) -> str:
    """The latest run when it can be gone on with instead of starting this one; "" and a word about it otherwise."""
    path = home / DATABASE
    if not path.exists():
        return ""
    with closing(open_reader(path)) as connection:
        runs = queries.runs_page(connection, limit=1)
        if not runs:
            return ""
        latest, stored = runs[0], queries.run_settings(connection, runs[0].id)
    why = _why_not(latest, suite)
    if not why and restored(msgspec.json.decode(stored, type=dict[str, object])) != settings:
        why = "has other settings"
    if why:
        click.echo(f"r{latest.id} {why}: a new run is started", err=True)
        return ""
    return f"r{latest.id}"


def _why_not(latest: RunView, suite: Suite) -> str:
    if latest.suite != suite.name:
        return f"is of suite {latest.suite}"
    return f"has ended ({latest.reason})" if latest.status == "ended" else ""


def _progress(suite: Suite, settings: Settings) -> RunProgress:
    return RunProgress(
        tasks=len(suite.entries), limit_s=settings.run.max_time_s, max_attempts=settings.run.max_attempts
    )


def _ended(home: Path, result: RunResult, *, as_json: bool) -> int:
    """Say what the store says about the run that has just ended."""
    with closing(open_reader(home / DATABASE)) as connection:
        view = queries.find_run(connection, f"r{result.run_id}")
        tasks = queries.tasks_of(connection, result.run_id)
    if as_json:
        click.echo(json.dumps(_summary(home, result, view, tasks)))
    else:
        print_run(view, tasks, programs=False)
        click.echo(f"\nstored in {home / DATABASE}")
        click.echo(f"look at the programs: altlas run show r{view.id}")
        click.echo(f"look at one attempt:  altlas attempt show r{view.id} NUMBER")
        if result.reason.is_by_hand:
            click.echo(f"go on with it:        altlas run resume r{view.id}")
    return Exit.INTERRUPTED if result.reason.is_by_hand else Exit.DONE


def _summary(home: Path, result: RunResult, view: RunView, tasks: Sequence[TaskView]) -> dict[str, object]:
    return {
        "run": f"r{view.id}",
        "suite": view.suite,
        "seed": view.seed,
        "reason": view.reason,
        "tasks": view.tasks,
        "solved": view.solved,
        "attempts": view.attempts,
        "wall_s": round(result.wall_s, 3),
        "attempts_per_s": round(view.attempts / result.wall_s, 2),
        "database": str(home / DATABASE),
        "per_task": [
            {
                "task": task.key,
                "language": task.language,
                "solved": task.solved_attempt is not None,
                "first_solved_attempt": task.solved_attempt,
                "attempts": task.attempts,
            }
            for task in tasks
        ],
    }
