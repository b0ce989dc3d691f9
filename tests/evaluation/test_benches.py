"""The benches: they run what they say, and count what goes wrong."""

from __future__ import annotations

import pytest

from altlas_agent.core.errors import NoJailError
from altlas_agent.core.records import Program, Status
from altlas_agent.evaluation.benches import loda, sandbox, soak, store
from altlas_agent.sandbox.slots import Options, Slots


def test_every_kind_of_program_of_the_soak_ends_as_it_may() -> None:
    with Slots(Options(result_cache=0)) as slots:
        ends = {
            kind.code: slots.run(Program(language="python", code=kind.code), kind.limits).status
            for kind in soak.KINDS
        }
    assert {code: end for code, end in ends.items() if end not in _ends(code)} == {}


def _ends(code: str) -> tuple[Status, ...]:
    return next(kind.ends for kind in soak.KINDS if kind.code == code)


def test_a_short_soak_leaves_nothing_behind() -> None:
    found = {measure.name: measure for measure in soak.bench(rounds=2, per_round=100).measures}
    for name in ("processes", "zombies", "open_files", "workers_lost", "sandbox_failures", "wrong_ends"):
        assert found[name].holds, found[name]


def test_the_bench_of_the_sandbox_shows_every_figure_beside_its_baseline() -> None:
    measures = sandbox.bench(rounds=1).measures
    assert {measure.name for measure in measures} >= {
        "python_trivial_rate",
        "python_trivial_cpu",
        "latency_p50_ms",
        "latency_p99_ms",
        "python_imports_cpu",
        "node_latency",
        "quickjs_cpu",
    }
    assert all(measure.value > 0 and measure.baseline for measure in measures)


def test_the_bench_of_loda_compares_both_engines_on_the_same_terms() -> None:
    measures = loda.bench(rounds=1).measures
    assert {measure.name for measure in measures} == {f"{name}_steps" for name in loda.PROGRAMS}
    assert all(measure.ratio and measure.ratio > 1 for measure in measures)


@pytest.mark.timeout(120)
def test_the_bench_of_the_store_shows_every_figure_beside_its_baseline() -> None:
    measures = {measure.name: measure for measure in store.bench(rounds=1, rows=2000).measures}
    assert set(measures) == {
        "durable_awaited",
        "durable_unawaited",
        "ack_p99_ms",
        "sqlmodel_ratio",
        "bytes_per_attempt",
        "history_page_p99_ms",
        "run_list_cpu_s",
    }
    assert all(measure.value > 0 and measure.baseline for measure in measures.values())
    assert measures["bytes_per_attempt"].holds


def test_no_figure_is_given_for_a_jail_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoJailError):
        sandbox.bench(rounds=1)
