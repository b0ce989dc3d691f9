"""What a bench shows: named figures beside a baseline of the same minute, and whether they reach their bar."""

from __future__ import annotations

from altlas_agent.core.records import Record


class Measure(Record):
    """One figure. `ratio` compares it with `baseline`; `bar` is what `ratio` or, without one, `value` must reach."""

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    bar: float
    holds: bool


class Bench(Record):
    """All figures of one bench."""

    bench: str
    measures: tuple[Measure, ...]


def faster(name: str, rate: float, baseline: float, *, unit: str, bar: float, ratio: float) -> Measure:
    """A rate that must be `bar` times the baseline; `ratio` is the median over rounds."""
    return Measure(
        name=name, value=rate, unit=unit, baseline=baseline, ratio=ratio, bar=bar, holds=ratio >= bar
    )


def cheaper(name: str, cost: float, baseline: float, *, unit: str, bar: float, ratio: float) -> Measure:
    """A cost of which the baseline must be `bar` times as much; `ratio` is the median over rounds."""
    return Measure(
        name=name, value=cost, unit=unit, baseline=baseline, ratio=ratio, bar=bar, holds=ratio >= bar
    )


def below(name: str, value: float, baseline: float, *, unit: str, bar: float) -> Measure:
    """A value that must not exceed `bar`; the baseline is there to compare."""
    return Measure(
        name=name,
        value=value,
        unit=unit,
        baseline=baseline,
        ratio=value / baseline,
        bar=bar,
        holds=value <= bar,
    )


def at_least(name: str, value: float, baseline: float, *, unit: str, bar: float) -> Measure:
    """A value that must reach `bar`; the baseline is there to compare."""
    ratio = value / baseline
    return Measure(
        name=name, value=value, unit=unit, baseline=baseline, ratio=ratio, bar=bar, holds=value >= bar
    )


def share(name: str, value: float, baseline: float, *, unit: str, bar: float) -> Measure:
    """A value of which at most this share of the baseline is allowed."""
    ratio = value / baseline
    return Measure(
        name=name, value=value, unit=unit, baseline=baseline, ratio=ratio, bar=bar, holds=ratio <= bar
    )


def grown(name: str, value: float, baseline: float, *, unit: str, bar: float) -> Measure:
    """A value that may exceed what it was at first by at most `bar`."""
    return Measure(
        name=name,
        value=value,
        unit=unit,
        baseline=baseline,
        ratio=None,
        bar=bar,
        holds=value - baseline <= bar,
    )
