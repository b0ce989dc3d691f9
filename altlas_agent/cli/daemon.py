"""altlas daemon: start and stop the process that keeps runs going, and ask how it is."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.options import home_option, json_option, read_settings, settings_options
from altlas_agent.cli.output import Column, duration, note, write_json, write_line, write_table
from altlas_agent.core.errors import Exit
from altlas_agent.daemon.home import resolve_home

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.records import Record
    from altlas_agent.daemon.api.client import Client
    from altlas_agent.daemon.api.site import RunLine

_RUN_COLUMNS = (
    Column("run"),
    Column("name"),
    Column("state"),
    Column("attempts", is_number=True),
    Column("solved", is_number=True),
    Column("per s", is_number=True),
)
_NS_PER_S = 1e9
_PROBE_S = 3.0
"""How long a daemon has to say that it is well: one that is blocked says nothing."""


@click.group()
def daemon() -> None:
    """Keep runs going without a terminal."""


@daemon.command()
@click.option("--foreground", is_flag=True, help="Stay in this terminal, and log to it.")
@click.option("--quiet", is_flag=True, help="With --foreground: log to the file of the home only.")
@settings_options
@home_option
@json_option
def start(
    *,
    foreground: bool,
    quiet: bool,
    profile: str | None,
    assignments: tuple[str, ...],
    home: str | None,
    as_json: bool,
) -> int:
    """Start a daemon for the home, and return when it can be reached.

    Exit code 75: another process holds the home, and is named.
    """
    folder = resolve_home(home)
    if foreground:
        _serve(folder, profile, assignments, quiet=quiet)
        return Exit.DONE
    from altlas_agent.daemon.service.launch import launch

    options = [word for each in assignments for word in ("--set", each)]
    announced = launch(folder, [*options, *(("--profile", profile) if profile else ())])
    log = str(folder / "log" / "altlas.log")
    if as_json:
        write_json({"launch": {"pid": announced.pid, "socket": announced.socket, "log": log}})
    else:
        write_line(f"process {announced.pid} serves {folder}")
        write_line("how it is:  altlas daemon status")
        write_line("what it says: altlas daemon log --follow")
    return Exit.DONE


@daemon.command()
@click.option("--now", is_flag=True, help="Do not wait for the runs to save themselves.")
@home_option
@json_option
def stop(*, now: bool, home: str | None, as_json: bool) -> None:
    """End the daemon: its runs save a checkpoint and can be resumed. It is no error when there is none."""
    from altlas_agent.daemon.service.launch import end

    folder = resolve_home(home)
    pid = end(folder, in_haste=now)
    if as_json:
        write_json({"target": "daemon", "applied": pid != 0, "pid": pid or None})
    else:
        write_line(f"process {pid} has ended" if pid else f"no daemon serves {folder}")


@daemon.command()
@click.option("--live", "probe", flag_value="live", help="Only: does its event loop turn over?")
@click.option("--ready", "probe", flag_value="ready", help="Only: can it store, and are its workers up?")
@click.option("--startup", "probe", flag_value="startup", help="Only: does it answer at all?")
@home_option
@json_option
def status(*, probe: str | None, home: str | None, as_json: bool) -> int:
    """Say how the daemon of the home is.

    Exit code 0: well. 1: not live, or not ready. 69: there is none, or it does not answer.
    """
    from altlas_agent.daemon.api.client import connect
    from altlas_agent.daemon.api.site import Info, Liveness, Readiness

    client = connect(resolve_home(home))
    if probe is None:
        _show_all(client, as_json=as_json)
        return Exit.DONE
    kinds: dict[str, tuple[str, type[Record]]] = {
        "live": ("/healthz", Liveness),
        "ready": ("/readyz", Readiness),
        "startup": ("/v1/info", Info),
    }
    is_well, answer = client.probe(*kinds[probe], timeout_s=_PROBE_S)
    if as_json:
        write_json(answer)
    else:
        write_line(f"{probe}: {'yes' if is_well else 'no'}")
    return Exit.DONE if is_well else Exit.FAILED


@daemon.command()
@click.option(
    "-n",
    "--lines",
    default=50,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many of the last lines.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on, until Ctrl+C.")
@home_option
@json_option
def log(*, lines: int, follow: bool, home: str | None, as_json: bool) -> None:
    """Show the end of what was logged in the home. As JSON: one object a line."""
    from altlas_agent.daemon.service.tail import lines_of

    path = resolve_home(home) / "log" / "altlas.log"
    if not path.exists():
        note(f"nothing was logged yet in {path}")
        if not follow:
            return
    for line in lines_of(path, last=lines, follow=follow):
        if as_json:
            write_json({"line": line})
        else:
            write_line(line)
        sys.stdout.flush()


@daemon.command()
@home_option
def unit(*, home: str | None) -> None:
    """Print a systemd user unit that keeps a daemon for the home."""
    from altlas_agent.daemon.service.unit import unit_text

    click.echo(unit_text(resolve_home(home)), nl=False)


def _serve(folder: Path, profile: str | None, assignments: tuple[str, ...], *, quiet: bool) -> None:
    """Be the daemon."""
    import faulthandler

    import anyio

    from altlas_agent.core import log as logging
    from altlas_agent.daemon.home import prepare_home
    from altlas_agent.daemon.homeruns import open_host
    from altlas_agent.daemon.serve import Plan, serve

    faulthandler.enable()  # a crash below Python leaves its stacks on stderr
    settings = read_settings(profile=profile, assignments=assignments).settings.daemon
    os.umask(0o077)
    prepare_home(folder)
    logging.set_up(settings.log_level, folder / "log", to_stderr=not quiet)
    plan = Plan(home=folder, settings=settings, environ=dict(os.environ), open_host=open_host)
    anyio.run(serve, plan)


def _show_all(client: Client, *, as_json: bool) -> None:
    from altlas_agent.daemon.api.site import Info, Liveness, Readiness, RunLines

    _, health = client.probe("/healthz", Liveness)
    _, readiness = client.probe("/readyz", Readiness)
    info, runs = client.get("/v1/info", Info), client.get("/v1/runs", RunLines)
    if as_json:
        write_json({"info": info, "health": health, "readiness": readiness, "runs": runs.rows})
        return
    announced = client.announced
    age_s = max(0.0, time.time() - announced.started_ns / _NS_PER_S)
    write_line(f"process {announced.pid}, AltLAS {announced.version}, for {duration(age_s)}")
    write_line(f"socket {announced.socket}")
    write_line(f"live: {'yes' if health.live else 'no'}  ready: {'yes' if readiness.ready else 'no'}")
    for reason in readiness.reasons:
        write_line(f"  {reason}")
    if info.degraded:
        write_line(f"given up for now: {', '.join(info.degraded)}")
    if runs.rows:
        write_table(_RUN_COLUMNS, [_row(line) for line in runs.rows])
    else:
        write_line("no run is live")


def _row(line: RunLine) -> tuple[str, ...]:
    done = line.progress
    figures = (
        (str(done.attempts), str(done.solved), f"{done.attempts_per_s:.1f}") if done else ("0", "0", "-")
    )
    return (f"r{line.id}", line.name or "-", line.state, *figures)
