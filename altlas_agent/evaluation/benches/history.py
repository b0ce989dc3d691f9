"""Pages of a long history, and `altlas run list` as a whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.evaluation.benches.measures import Measure


def history(home: Path, rounds: int, rows: int) -> list[Measure]:
    return []
