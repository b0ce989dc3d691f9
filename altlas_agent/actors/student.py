"""Daemon-side face of the student process: asks it for attempts and learning steps."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.requests import (
    Done,
    Generate,
    Generated,
    Learn,
    Learned,
    Save,
    Saved,
    SetUpStudent,
    Steer,
    StudentReady,
    WasReset,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from altlas_agent.core.records import Group, GroupPlan
    from altlas_agent.core.requests import CheckpointFile, ResetWeights

ANSWER_S = 300.0
_MODULE = "altlas_agent.learning.service"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read when numpy and torch are imported: at first one thread, and as many as the settings say from `set_up` on."""


class Student:
    """The student as the loop sees it. Every call waits for the child, at most `ANSWER_S`."""

    def __init__(self, child: ChildProcess) -> None:
        self._child = child
        self._ready: StudentReady | None = None

    @property
    def ready(self) -> StudentReady:
        """What was built, once `set_up` has returned."""
        assert self._ready is not None, "it was not set up"
        return self._ready

    @classmethod
    @asynccontextmanager
    async def start(cls, *, log_path: Path) -> AsyncGenerator[Student]:
        """Start the process by module name, never by import: torch stays out of this one.

        It loads what it needs at once, so that whoever starts it early waits less for `set_up`.
        """
        argv = [sys.executable, "-m", _MODULE]
        env = {**os.environ, **dict.fromkeys(_THREADS, "1")}
        async with ChildProcess.start(name="student", argv=argv, env=env, log_path=log_path) as child:
            student = cls(child)
            try:
                yield student
            finally:
                if student._ready is None:
                    child.kill()  # it has nothing to lose, and would first load to the end

    async def set_up(
        self, settings_json: str, *, seed: int, checkpoint: CheckpointFile | None = None
    ) -> StudentReady:
        """Build the policy, or have it go on from a checkpoint; before everything else.

        Raises PolicyError for a checkpoint that is damaged or does not fit.
        """
        request = SetUpStudent(settings=settings_json, seed=seed, checkpoint=checkpoint)
        self._ready = await self._child.ask(request, StudentReady, timeout_s=ANSWER_S)
        return self._ready

    async def generate(self, plans: Sequence[GroupPlan]) -> Generated:
        """The attempts of these groups. Hidden tests and solutions do not travel to the student."""
        return await self._child.ask(
            Generate(plans=tuple(map(_public, plans))), Generated, timeout_s=ANSWER_S
        )

    async def learn(self, groups: Sequence[Group]) -> Learned:
        public = tuple(msgspec.structs.replace(group, plan=_public(group.plan)) for group in groups)
        return await self._child.ask(Learn(groups=public), Learned, timeout_s=ANSWER_S)

    async def steer(self, settings_json: str) -> None:
        """Go on under these settings."""
        await self._child.ask(Steer(settings=settings_json), Done, timeout_s=ANSWER_S)

    async def reset(self, request: ResetWeights) -> WasReset:
        """Draw weights anew. Raises PolicyError for a layer that the policy does not have."""
        return await self._child.ask(request, WasReset, timeout_s=ANSWER_S)

    async def save(self, folder: Path, loop: bytes = b"") -> Saved:
        """Write a checkpoint; `loop` is kept in it."""
        return await self._child.ask(Save(folder=str(folder), loop=loop), Saved, timeout_s=ANSWER_S)


def _public(plan: GroupPlan) -> GroupPlan:
    examples = tuple(task.public() for task in plan.examples)
    return msgspec.structs.replace(plan, task=plan.task.public(), examples=examples)
