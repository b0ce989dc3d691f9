"""What a run is made of, how it ended, and a student that is ready to begin it or to go on with it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from anyio import to_thread

from altlas_agent.actors.student import Student
from altlas_agent.core.errors import SettingsError
from altlas_agent.daemon.home import log_folder
from altlas_agent.daemon.recall import check_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import TaskStatus

    from altlas_agent.actors.loop import Reason
    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.daemon.resume import Start
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.loader import Suite


class Listener(Protocol):
    """Follows the bus until it ends; tells `task_status` when it has begun to listen."""

    async def __call__(self, bus: Bus, *, task_status: TaskStatus[None]) -> None:
        """What it raises ends the run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run is made of. `home` exists and belongs to us when the run starts."""

    home: Path
    suite: Suite
    settings: Settings
    name: str = ""

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that its programs may be written in."""
        return tuple(sorted({entry.file.target_language for entry in self.suite.entries}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended; everything else about it is in the store."""

    run_id: int
    reason: Reason
    wall_s: float


@asynccontextmanager
async def spawned(home: Path) -> AsyncGenerator[Student]:
    """A student process, which gets ready while its parent goes on; to be seated."""
    async with Student.start(log_path=log_folder(home) / "student.log") as student:
        yield student


async def seat(student: Student, plan: RunPlan, start: Start) -> bytes:
    """Set up a student to begin at `start`; gives the state of the loop that lay in the checkpoint.

    Raises SettingsError for a suite whose programs the policy cannot write, NotFoundError or RunRefusedError for
    a memory that it cannot begin with.
    """
    _refuse_too_long(plan)
    if start.checkpoint is None:
        await to_thread.run_sync(check_source, plan.home, plan.settings)
    settings_json, seed = plan.settings.model_dump_json(), plan.settings.run.seed
    return (await student.set_up(settings_json, seed=seed, checkpoint=start.checkpoint)).loop


def _refuse_too_long(plan: RunPlan) -> None:
    most = plan.settings.policy.most_tokens
    for entry in plan.suite.entries:
        if most is not None and entry.file.constraints.max_tokens > most:
            raise SettingsError(
                f"policy.window = {most} is too small for task {entry.key}, which allows "
                f"{entry.file.constraints.max_tokens} tokens: enlarge it, or lower max_tokens of the task"
            )
