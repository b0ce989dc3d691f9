"""A real sandbox, shared by the tests of one module, and the real judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.rewards.verdict import Judge
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    with Slots(Options()) as opened:
        yield opened


@pytest.fixture
def judge(slots: Slots) -> Judge:
    return Judge(slots.run, Settings().rewards.weights.model_dump())
