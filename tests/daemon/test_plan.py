"""What is refused before a student is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import SettingsError
from altlas_agent.daemon.plan import RunPlan, seat, spawned
from altlas_agent.daemon.resume import FRESH
from altlas_agent.settings.policies import TransformerPolicy
from altlas_agent.settings.run import Settings
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from pathlib import Path


async def test_programs_that_do_not_fit_into_the_window_are_refused(
    tmp_path: Path,
) -> None:
    plan = RunPlan(
        home=tmp_path,
        suite=load_suite("ladder"),
        settings=Settings(policy=TransformerPolicy(window=12)),
    )
    with pytest.raises(
        SettingsError, match=r"policy\.window = 12 is too small for task ladder/.*: enlarge it"
    ):
        async with spawned(tmp_path) as student:
            await seat(student, plan, FRESH)
