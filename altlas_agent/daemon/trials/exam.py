"""An exam of a run's policy: student and workers are started, asked, and ended; nothing of the run changes.

papers ── student (its newest whole checkpoint) ── samples ── workers ── marks ── grades
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import RunRefusedError, ungrouped
from altlas_agent.daemon.crews import Crews
from altlas_agent.daemon.home import log_folder
from altlas_agent.daemon.plan import RunPlan, seat, spawned
from altlas_agent.daemon.resume import find_interrupted, find_start
from altlas_agent.evaluation.exam import Mark, Report, grades, marked, papers, plans
from storage.database import FILE_NAME as DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from altlas_agent.actors.student import Student
    from altlas_agent.actors.worker import Share
    from altlas_agent.core.records import Attempt, GroupPlan, Judged
    from altlas_agent.evaluation.exam import Paper

AT_ONCE = 16
"""Papers that are written and judged together."""


async def examine(
    home: Path, run_id: int, *, k: int, instances: int, told: Callable[[int, int], None]
) -> Report:
    """Ask the policy of a run for `k` samples a task; `told` hears how many papers of how many are done.

    Raises NotFoundError, TaskError, NoJailError, PolicyError, or RunRefusedError for a run without a checkpoint.
    """
    path = home / DATABASE
    found, start = find_interrupted(path, run_id), await find_start(path, run_id)
    if start.checkpoint is None:
        raise RunRefusedError(f"run r{run_id} has no checkpoint yet whose policy could be examined")
    plan = RunPlan(home=home, suite=found.suite, settings=found.settings, name=found.name)
    asked, marks = papers(found.suite, instances=instances), list[Mark]()
    with ungrouped():
        async with spawned(home) as student, Crews.open(log_folder(home)) as crews:
            crew = await crews.crew(plan.settings, plan.languages)
            await seat(student, plan, start)
            share, groups = crew.workers.share(f"exam of r{run_id}"), plans(asked, k=k)
            for first in range(0, len(asked), AT_ONCE):
                part = slice(first, first + AT_ONCE)
                marks += await _sat(asked[part], groups[part], student, share)
                told(len(marks), len(asked))
    return Report(
        run=found.name or f"r{run_id}",
        version=start.version,
        k=k,
        grades=grades(marks, k=k),
        marks=tuple(marks),
        seed=plan.settings.run.seed,
        instances=instances,
        sha256=start.checkpoint.sha256,
        taken_ns=time.time_ns(),
    )


async def _sat(
    asked: Sequence[Paper], groups: Sequence[GroupPlan], student: Student, share: Share
) -> list[Mark]:
    written = (await student.generate(groups)).attempts
    judged: dict[int, Judged] = {}
    by_group = {group.group: paper for group, paper in zip(groups, asked, strict=True)}

    async def judge(attempt: Attempt) -> None:
        judged[attempt.number] = await share.judge(by_group[attempt.group].task, attempt, ())

    async with anyio.create_task_group() as tasks:
        for attempt in written:
            tasks.start_soon(judge, attempt)
    return [
        marked(paper, [judged[a.number] for a in written if a.group == group.group])
        for group, paper in zip(groups, asked, strict=True)
    ]
