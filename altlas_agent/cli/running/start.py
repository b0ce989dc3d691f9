"""altlas run start and resume: what is said on the command line becomes a run that is carried on."""

from __future__ import annotations

import click

from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option, json_option, read_settings, settings_options
from altlas_agent.core.errors import Exit


@click.command()
@click.argument("suite")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random in the run.")
@click.option("--max-attempts", type=click.IntRange(min=0), help="End after this many attempts; 0: no limit.")
@click.option("--max-time", type=click.FloatRange(min=0), metavar="S", help="End after this many seconds.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that run programs.")
@click.option("--name", default="", help="A name by which the run can be found again.")
@click.option("--detach", is_flag=True, help="Hand the run to the daemon, and return when it has begun.")
@click.option(
    "--continue",
    "goes_on",
    is_flag=True,
    help="Go on with the latest run when it is of this suite and these settings and was interrupted.",
)
@settings_options
@home_option
@json_option
def start(  # noqa: PLR0913 - one parameter per option
    suite: str,
    *,
    seed: int | None,
    max_attempts: int | None,
    max_time: float | None,
    workers: int | None,
    name: str,
    goes_on: bool,
    detach: bool,
    profile: str | None,
    assignments: tuple[str, ...],
    home: str | None,
    as_json: bool,
) -> int:
    """Train a student on SUITE (a shipped suite, or a folder of task files) from random weights.

    Ctrl+C ends the run cleanly and keeps everything.
    """
    # Imported here: what a run needs is more than `run list` may load.
    from altlas_agent.cli.running.foreground import begin, carry_on, unfinished
    from altlas_agent.daemon.home import resolve_home
    from altlas_agent.settings.load import chosen
    from altlas_agent.tasks.loader import load_suite, shipped_suites

    options = {
        "run.seed": ("--seed", seed),
        "run.max_attempts": ("--max-attempts", max_attempts),
        "run.max_time_s": ("--max-time", max_time),
        "sandbox.workers": ("--workers", workers),
    }
    loaded = read_settings(profile=profile, assignments=assignments, options=options)
    folder, tasks, settings = resolve_home(home), load_suite(suite), loaded.settings
    if detach:
        from altlas_agent.cli.running.remote import start_detached

        source = suite if suite in shipped_suites() else str(tasks.path)
        return start_detached(folder, source, chosen(loaded), name=name, as_json=as_json)
    if goes_on and (found := unfinished(folder, tasks, settings)):
        return carry_on(folder, found, {}, as_json=as_json)
    return begin(folder, tasks, settings, name=name, as_json=as_json)


@click.command()
@click.argument("selector", metavar="[RUN]", default="@latest", shell_complete=complete_runs)
@click.option("--max-attempts", type=click.IntRange(min=0), help="End after this many attempts; 0: no limit.")
@click.option("--max-time", type=click.FloatRange(min=0), metavar="S", help="End after this many seconds.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a live setting from here on, for example learning.learning_rate=0.001. May be repeated.",
)
@home_option
@json_option
def resume(
    selector: str,
    *,
    max_attempts: int | None,
    max_time: float | None,
    assignments: tuple[str, ...],
    home: str | None,
    as_json: bool,
) -> int:
    """Go on with RUN (the latest without it) as if it had never stopped.

    It goes on from its newest checkpoint. Attempts that are stored behind it are learned from again, and are
    neither run nor stored twice: the run comes to what it would have come to without the interruption.
    A run that came to its end goes on only when a setting changes with it. When a daemon holds the home, it
    carries the run, and one that rests there goes on.
    """
    from altlas_agent.cli.running.foreground import carry_on
    from altlas_agent.cli.running.remote import resume_in_daemon
    from altlas_agent.daemon.home import resolve_home
    from altlas_agent.settings.reading.sources import assignments as read
    from altlas_agent.settings.run import Settings

    changes = read(assignments, Settings)
    if max_attempts is not None:
        changes["run.max_attempts"] = max_attempts
    if max_time is not None:
        changes["run.max_time_s"] = max_time
    folder = resolve_home(home)
    if resume_in_daemon(folder, selector, changes, as_json=as_json):
        return Exit.DONE
    return carry_on(folder, selector, changes, as_json=as_json)
