"""The bench of the daemon gives its figures beside their baselines, and none for what was lost."""

from __future__ import annotations

import pytest

from altlas_agent.daemon import bench


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "EVENTS", 2_000)
    monkeypatch.setattr(bench, "REQUESTS", 50)


def test_every_figure_stands_beside_its_baseline() -> None:
    measures = bench.bench(rounds=1).measures
    assert [measure.name for measure in measures] == ["stream_rate", "request_rate"]
    assert all(measure.value > 0 and measure.baseline and measure.ratio for measure in measures)
