"""altlas doctor: is everything here that AltLAS needs, and does it work?"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.machine import parts, places
from altlas_agent.cli.machine.checks import Check, State, fail
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import is_coloured, write_json
from altlas_agent.core.errors import AltlasError, Exit
from altlas_agent.core.text import safe
from altlas_agent.daemon.home import resolve_home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROBES: dict[str, Callable[[Path], Check]] = {
    "python": parts.python,
    "disk": places.disk,
    "sqlite": parts.sqlite,
    "home": places.home_folder,
    "database": places.database,
    "schema": places.schema,
    "daemon": places.daemon,
    "terminal": parts.terminal,
    "torch": parts.torch,
    "sandbox": parts.sandbox,
}
"""In the order in which they are asked: what is quick first."""

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


@click.command()
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(PROBES)),
    metavar="NAME",
    help=f"Only this probe, of {', '.join(PROBES)}. May be repeated.",
)
@home_option
@json_option
def doctor(*, only: tuple[str, ...], home: str | None, as_json: bool) -> int:
    """Check whether AltLAS can work here.

    What is missing or does not work is told with what to do about it. Exit code 0: it can, whatever is
    warned of. 1: something failed.
    """
    folder = resolve_home(home)
    checks: list[Check] = []
    for name in only or PROBES:
        checks.append(_ask(name, partial(PROBES[name], folder)))
        if not as_json:
            _write(checks[-1])
    has_failed = any(check.state is State.FAIL for check in checks)
    if as_json:
        write_json({"ok": not has_failed, "checks": checks})
    return Exit.FAILED if has_failed else Exit.DONE


def _ask(name: str, probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except AltlasError as error:
        return fail(name, error.message, "")
    except Exception as error:  # noqa: BLE001 - a probe that breaks must not hide what the others find
        return fail(name, f"the probe itself failed: {type(error).__name__}: {error}", "")


def _write(check: Check) -> None:
    state = f"{check.state:<5}"
    remedy = f"\n{'':>17}-> {safe(check.remedy)}" if check.remedy else ""
    shown = click.style(state, fg=_COLOURS[check.state]) if is_coloured() else state
    click.echo(f"{shown} {check.name:<10} {safe(check.detail, keep_newlines=False)}{remedy}")
    sys.stdout.flush()
