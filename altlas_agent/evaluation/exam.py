"""An exam: fresh samples of the policy alone on every task, and on instances of families never trained on.

No replay, no exploration and no search: what is measured is what the weights have learned.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from altlas_agent.core.errors import DatabaseDamagedError, boundary
from altlas_agent.core.records import GroupPlan, Record
from altlas_agent.evaluation.scores import Interval, bootstrap, pass_at_k
from storage.runs.exams import ExamRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from altlas_agent.core.records import Judged, Task
    from altlas_agent.tasks.loader import Suite


Digest = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Paper(NamedTuple):
    """One task to be solved, and whether the policy can have trained on it."""

    task: Task
    is_unseen: bool


class Mark(Record):
    """How one instance of a task went: of `samples`, so many solved it; `broken` did not even run."""

    task: str
    language: str
    is_unseen: bool
    samples: int
    solved: int
    broken: int


class Grade(Record):
    """Means over tasks, with their 95 % intervals (mean, low, high)."""

    what: str
    tasks: int
    instances: int
    pass_at_1: Interval
    pass_at_k: Interval


class Report(Record):
    """An exam of one version of one policy, whose checkpoint has this hash; `seed` is that of its run."""

    run: str
    version: int
    k: int
    grades: tuple[Grade, ...]
    marks: tuple[Mark, ...]
    seed: int = 0
    instances: int = 0
    sha256: Digest = ""
    taken_ns: Moment = 0


def row_of(run_id: int, report: Report) -> ExamRow:
    """An exam as it is stored."""
    text = msgspec.json.encode(report).decode()
    return ExamRow(run_id, report.taken_ns, report.version, report.sha256, report.seed, report.k, text)


def report_of(row: ExamRow) -> Report:
    """An exam as it was stored. Raises DatabaseDamagedError for what is none."""
    with boundary(DatabaseDamagedError, f"an exam of run r{row.run_id} that was stored"):
        return msgspec.json.decode(row.report_json, type=Report)


def papers(suite: Suite, *, instances: int) -> list[Paper]:
    """Every task once as it was trained on, and `instances` of each family as it was not."""
    seen = [Paper(entry.instance("train", 0), is_unseen=False) for entry in suite.entries]
    unseen = [
        Paper(entry.instance("unseen", index), is_unseen=True)
        for entry in suite.entries
        if entry.is_family
        for index in range(instances)
    ]
    return seen + unseen


def plans(asked: Sequence[Paper], *, k: int) -> list[GroupPlan]:
    """Groups of `k` samples of the policy alone."""
    return [
        GroupPlan(group=number, task=paper.task, size=k, first_number=1 + number * k, explore=False)
        for number, paper in enumerate(asked)
    ]


def marked(paper: Paper, judged: Sequence[Judged]) -> Mark:
    """What the samples for one paper came to."""
    return Mark(
        task=paper.task.key,
        language=paper.task.target_language,
        is_unseen=paper.is_unseen,
        samples=len(judged),
        solved=sum(each.score.solved for each in judged),
        broken=sum(each.outcome.status.value != "success" for each in judged),
    )


def grades(marks: Sequence[Mark], *, k: int) -> tuple[Grade, ...]:
    """By what was asked: all seen tasks, all unseen instances, and both in each language."""
    languages = sorted({mark.language for mark in marks})
    found: list[Grade] = []
    for is_unseen, what in ((False, "seen"), (True, "unseen")):
        part = [mark for mark in marks if mark.is_unseen == is_unseen]
        found += _grade(what, part, k=k)
        if len(languages) > 1:
            for language in languages:
                found += _grade(f"{what}, {language}", [m for m in part if m.language == language], k=k)
    return tuple(found)


def _grade(what: str, marks: Sequence[Mark], *, k: int) -> Iterable[Grade]:
    by_task: dict[str, list[Mark]] = {}
    for mark in marks:
        by_task.setdefault(mark.task, []).append(mark)
    if by_task:
        first, best = (
            bootstrap([fmean(pass_at_k(m.samples, m.solved, n) for m in each) for each in by_task.values()])
            for n in (1, k)
        )
        yield Grade(what=what, tasks=len(by_task), instances=len(marks), pass_at_1=first, pass_at_k=best)
