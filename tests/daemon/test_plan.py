"""What is refused before a student is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import SettingsError
from altlas_agent.daemon.plan import RunPlan, seated
from altlas_agent.daemon.resume import FRESH
from altlas_agent.settings.policies import TransformerPolicy
from altlas_agent.settings.run import Settings
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from pathlib import Path


async def test_programs_that_do_not_fit_into_the_window_are_refused_before_anything_starts(
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
        async with seated(plan, FRESH):
            pass
