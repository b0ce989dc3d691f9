"""altlas experiment: compare settings over seeds, with equal budgets."""

from __future__ import annotations

import anyio
import click

from altlas_agent.cli.groups import LazyGroup
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import Column, note, write_json, write_line, write_table

_COLUMNS = (
    Column("arm"),
    Column("measure"),
    Column("seeds", is_number=True),
    Column("mean", is_number=True),
    Column("95 % interval"),
    Column("against the first arm"),
)


EXPERIMENT_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("altlas_agent.cli.running.experiment:run_experiment", "Carry one out, and show what came of it."),
    "list": ("altlas_agent.cli.running.experiment:list_experiments", "List those that come with AltLAS."),
}


class Experiments(LazyGroup):
    """What can be done with experiments."""

    table = EXPERIMENT_COMMANDS


@click.group(cls=Experiments)
def experiment() -> None:
    """Compare settings: several seeds per arm, equal budgets."""


@click.command(name="list")
def list_experiments() -> None:
    """List the experiments that come with AltLAS, with what they ask."""
    from altlas_agent.evaluation.experiments.plan import read, shipped

    write_table((Column("experiment"), Column("asks")), [(name, read(name).about) for name in shipped()])


@click.command(name="run")
@click.argument("name", metavar="EXPERIMENT")
@click.option("--show", is_flag=True, help="Run nothing: show what there is.")
@home_option
@json_option
def run_experiment(name: str, home: str | None, *, show: bool, as_json: bool) -> None:
    """Carry out EXPERIMENT: a shipped one, or a .toml file.

    Each arm is run with each seed and the same number of attempts, and stored like any run, named
    EXPERIMENT/ARM/SEED. What is there already is not run again: an interrupted experiment goes on. The
    intervals are 95 % percentile bootstraps over seeds; differences are taken seed by seed.
    """
    # Imported here so that the help starts without the parts of a run.
    from altlas_agent.daemon.home import resolve_home
    from altlas_agent.daemon.trials.experiment import carry_out, ended
    from altlas_agent.evaluation.experiments.plan import read
    from altlas_agent.evaluation.experiments.results import compare

    asked, folder = read(name), resolve_home(home)
    if not show:
        anyio.run(carry_out, folder, asked, note)
    lines = compare(ended(folder, asked), list(asked.arms), budget=asked.max_attempts)
    if as_json:
        write_json({"experiment": asked.name, "about": asked.about, "lines": lines})
        return
    write_line(f"{asked.name}: {asked.about} Suite {asked.suite}, {asked.max_attempts} attempts each.")
    write_table(
        _COLUMNS,
        [
            (
                line.arm,
                line.measure,
                f"{line.seeds}",
                f"{line.value.mean:.3f}",
                f"{line.value.low:.3f} to {line.value.high:.3f}",
                f"{line.gain.mean:+.3f} ({line.gain.low:+.3f} to {line.gain.high:+.3f})" if line.gain else "",
            )
            for line in lines
        ],
    )
