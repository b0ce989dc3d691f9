"""`altlas bench`: measures a part of AltLAS on this machine, beside a baseline of the same minute."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

import click

from altlas_agent.cli.options import json_option
from altlas_agent.cli.output import Column, note, write_json, write_table
from altlas_agent.core.errors import UsageError

if TYPE_CHECKING:
    from typing import Protocol

    from altlas_agent.evaluation.benches.measures import Bench, Measure

    class Measuring(Protocol):
        """What a bench is: rounds, and rows for the one that has some, to figures."""

        def __call__(self, *, rounds: int, rows: int = ...) -> Bench: ...


BENCHES: dict[str, str] = {
    "bus": "altlas_agent.evaluation.benches.bus:bench",
    "daemon": "altlas_agent.daemon.bench:bench",
    "grammar": "altlas_agent.evaluation.benches.student.grammar:bench",
    "loda": "altlas_agent.evaluation.benches.loda:bench",
    "sandbox": "altlas_agent.evaluation.benches.sandbox:bench",
    "soak": "altlas_agent.evaluation.benches.soak:bench",
    "student": "altlas_agent.evaluation.benches.student.bench:bench",
    "store": "altlas_agent.evaluation.benches.store:bench",
}
"""Name -> the function that measures, imported when it is called for."""

_ROWS = 50_000

_COLUMNS = (
    Column("measure"),
    Column("value", is_number=True),
    Column("unit"),
    Column("baseline", is_number=True),
    Column("ratio", is_number=True),
    Column("bar", is_number=True),
    Column("holds"),
)


@click.command()
@click.argument("name", type=click.Choice(list(BENCHES)), metavar="NAME")
@click.option(
    "--rounds", default=7, show_default=True, type=click.IntRange(1, 100), help="How often each is measured."
)
@click.option(
    "--rows",
    type=click.IntRange(1000),
    help=f"For store: how many attempts the history has whose pages are timed; {_ROWS} without it.",
)
@json_option
def bench(*, name: str, rounds: int, rows: int | None, as_json: bool) -> None:
    """Measure a part of AltLAS on this machine.

    NAME is bus, how fast events reach their listeners; daemon, how fast they leave it on its socket; store, how
    fast attempts are safe and found again; sandbox, how fast programs run; soak, what many of them leave behind,
    10,000 in a round; student, how much of what the machine can multiply becomes tokens and learning steps;
    grammar, whether all that it lets through are programs; or loda, how many steps a second its machine takes. Every figure of speed stands beside a
    baseline that was measured in between, so that a busy machine disturbs both alike. The bars are those of a
    quiet machine.
    """
    if rows is not None and name != "store":
        raise UsageError(f"--rows is for store: {name} has no history")
    module, _, function = BENCHES[name].partition(":")
    measuring = cast("Measuring", getattr(import_module(module), function))
    if not as_json:
        note(f"measuring {name}: this takes a while")
    found = measuring(rounds=rounds, rows=rows or _ROWS) if name == "store" else measuring(rounds=rounds)
    if as_json:
        write_json(found)
    else:
        write_table(_COLUMNS, [_row(measure) for measure in found.measures])


def _row(measure: Measure) -> tuple[str, ...]:
    figures = (measure.baseline, measure.ratio, measure.bar)
    baseline, ratio, bar = ("-" if figure is None else f"{figure:.2f}" for figure in figures)
    verdict = "yes" if measure.holds else "no"
    return (measure.name, f"{measure.value:.2f}", measure.unit, baseline, ratio, bar, verdict)
