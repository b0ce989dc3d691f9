"""The altlas command: the table of groups, and how a command ends."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from altlas_agent import __version__
from altlas_agent.cli.failures import exit_code_of
from altlas_agent.cli.groups import LazyGroup
from altlas_agent.core.errors import EXIT_MEANINGS, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("altlas_agent.cli.run:run", "Start runs, and look at them."),
    "daemon": ("altlas_agent.cli.daemon:daemon", "Keep runs going without a terminal."),
    "task": ("altlas_agent.cli.task:task", "List, show and check tasks."),
    "attempt": ("altlas_agent.cli.history.attempts:attempt", "Look at the attempts of a run."),
    "experiment": (
        "altlas_agent.cli.running.experiment:experiment",
        "Compare settings: several seeds per arm, equal budgets.",
    ),
    "reward": ("altlas_agent.cli.reward.reward:reward", "See how attempts come by their scores."),
    "event": ("altlas_agent.cli.history.events:event", "Look at the events of a run."),
    "vocab": (
        "altlas_agent.cli.vocabulary.vocab:vocab",
        "See how the abstract tokens are used, and change them.",
    ),
    "query": ("altlas_agent.cli.history.query:query", "Ask the database in SQL, without changing it."),
    "exec": ("altlas_agent.cli.sandbox.execute:execute", "Run programs in the sandbox."),
    "sandbox": ("altlas_agent.cli.sandbox.status:sandbox", "See what the sandbox can do here, and test it."),
    "loda": ("altlas_agent.cli.loda:loda", "Run LODA programs, which compute integer sequences."),
    "db": ("altlas_agent.cli.store.db:db", "Look after the database of a home."),
    "bench": ("altlas_agent.cli.bench:bench", "Measure a part of AltLAS on this machine."),
    "config": ("altlas_agent.cli.config:config", "Show and check settings, and where they come from."),
    "doctor": ("altlas_agent.cli.machine.doctor:doctor", "Check whether AltLAS can work here."),
    "paths": ("altlas_agent.cli.machine.about:paths", "List where things lie."),
    "completion": (
        "altlas_agent.cli.machine.completion:completion",
        "Write the completion script for a shell.",
    ),
    "version": (
        "altlas_agent.cli.machine.about:show_version",
        "Show the version of this, and of what it stands on.",
    ),
}
"""Name -> where the command lives, and its line in --help, which therefore imports none of them."""

_EPILOG = "\n".join(
    ["\b", "Exit codes:", *(f"  {code.value:>3}  {meaning}" for code, meaning in EXIT_MEANINGS.items())]
)


class Commands(LazyGroup):
    """All commands."""

    table = COMMANDS


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="altlas %(version)s")
def altlas() -> None:
    """Loses a lot, succeeds: trains policies to write programs from the feedback of running them."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code; a command that returns an int chose it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "_ALTLAS_COMPLETE" in os.environ:
        from altlas_agent.cli.naming.completing import answer_at_once

        if answer_at_once(altlas):
            sys.exit(Exit.DONE)
        altlas.main(words, prog_name="altlas")
    try:
        with altlas.make_context("altlas", words) as context:
            code: object = altlas.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        code = exit_code_of(error, words)
        if code is None:
            raise
    sys.exit(code if isinstance(code, int) else Exit.DONE)
