"""altlas run stop, pause, checkpoint, steer and attach: what is asked of a run that a daemon carries."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import note, write_json, write_line
from altlas_agent.core.errors import Exit, NotFoundError, ServiceMissingError, UsageError
from altlas_agent.daemon.api.client import START_TIMEOUT_S, Client, connect
from altlas_agent.daemon.api.site import Applied, Begun, RunLine, RunLines
from altlas_agent.daemon.home import resolve_home
from storage.database import FILE_NAME, open_reader
from storage.reading import queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_run_argument = click.argument("selector", metavar="[RUN]", default="", shell_complete=complete_runs)
_NONE_LIVE = "no run is live in the daemon; what is stored is told by: altlas run list"


@click.command()
@_run_argument
@home_option
@json_option
def stop(*, selector: str, home: str | None, as_json: bool) -> None:
    """End RUN between two steps, with a checkpoint: altlas run resume goes on with it.

    RUN may be left out when a single one is live.
    """
    _ask(home, selector, "stop", "ends after its step", as_json=as_json)


@click.command()
@_run_argument
@home_option
@json_option
def pause(*, selector: str, home: str | None, as_json: bool) -> None:
    """Have RUN take no further step until altlas run resume. What is under way is finished."""
    _ask(home, selector, "pause", "rests after its step", as_json=as_json)


@click.command()
@_run_argument
@home_option
@json_option
def checkpoint(*, selector: str, home: str | None, as_json: bool) -> None:
    """Save RUN now, and say where the checkpoint lies."""
    client = connect(resolve_home(home))
    line = live_run(client, resolve_home(home), selector)
    applied = client.post(f"/v1/runs/{line.id}/checkpoint", Applied, timeout_s=START_TIMEOUT_S)
    if as_json:
        write_json(applied)
    elif applied.checkpoint:
        write_line(applied.checkpoint.path)


@click.command()
@click.argument("selector", metavar="RUN", shell_complete=complete_runs)
@click.argument("assignments", metavar="KEY=VALUE...", nargs=-1, required=True)
@home_option
@json_option
def steer(*, selector: str, assignments: tuple[str, ...], home: str | None, as_json: bool) -> None:
    """Change live settings of RUN from its next step on, for example learning.learning_rate=0.001.

    All of them change, or none. Settings that decide how a run is built cannot change: they are refused.
    """
    from altlas_agent.settings.reading.sources import assignments as read
    from altlas_agent.settings.run import Settings

    client = connect(resolve_home(home))
    line = live_run(client, resolve_home(home), selector)
    changes = read(assignments, Settings)
    applied = client.patch(f"/v1/runs/{line.id}/config", Applied, {"settings": changes})
    if as_json:
        write_json(applied)
        return
    for name, before in (applied.before or {}).items():
        write_line(f"{applied.target}: {name} was {before}, is {changes[name]} from the next step on")


@click.command()
@_run_argument
@home_option
def attach(*, selector: str, home: str | None) -> int:
    """Follow RUN until it ends. Ctrl+C leaves it to itself; it goes on.

    Exit code 0: it came to its end. 1: it crashed. 130: it was stopped, or you left.
    """
    from altlas_agent.cli.history.events import FLOOD
    from altlas_agent.cli.history.following import Follower, write_event
    from storage.reading.events import EventFilter

    folder = resolve_home(home)
    line = live_run(connect(folder), folder, selector)
    note(f"following r{line.id}; Ctrl+C leaves it to itself")
    with closing(open_reader(folder / FILE_NAME)) as connection:
        which = EventFilter(run_id=line.id, but=FLOOD)
        try:
            after = queries.last_seq(connection, line.id)
            Follower(write_event, every_s=2.0).follow(connection, which, after=after)
        except KeyboardInterrupt:
            note(f"r{line.id} goes on; follow it again: altlas run attach r{line.id}")
            return Exit.INTERRUPTED
        view = queries.find_run(connection, f"r{line.id}")
    write_line(f"r{view.id} {view.status}: {view.reason}; altlas run show r{view.id}")
    return {"ended": Exit.DONE, "interrupted": Exit.INTERRUPTED}.get(view.status, Exit.FAILED)


def start_detached(
    home: Path, suite: str, settings: Mapping[str, object], *, name: str, as_json: bool
) -> int:
    """Hand a run to the daemon of the home, which is started where there is none."""
    from altlas_agent.daemon.service.launch import launch

    try:
        client = connect(home)
    except ServiceMissingError:
        client = Client(launch(home, ()))
    body = {"suite": suite, "settings": dict(settings), "name": name}
    begun = client.post("/v1/runs", Begun, body, timeout_s=START_TIMEOUT_S)
    _say_begun(client, home, begun.run, as_json=as_json)
    return Exit.DONE


def resume_in_daemon(home: Path, selector: str, changes: Mapping[str, object], *, as_json: bool) -> bool:
    """Have the daemon of the home end a pause, or go on with a run; False when there is no daemon."""
    try:
        client = connect(home)
    except ServiceMissingError:
        return False
    if line := _among(client.get("/v1/runs", RunLines).rows, home, selector):
        if changes:
            client.patch(f"/v1/runs/{line.id}/config", Applied, {"settings": changes})
        applied = client.post(f"/v1/runs/{line.id}/resume", Applied)
        _say(applied, "goes on", as_json=as_json)
        return True
    path = f"/v1/runs/{_stored(home, selector)}/restart"
    begun = client.post(path, Begun, {"settings": changes}, timeout_s=START_TIMEOUT_S)
    _say_begun(client, home, begun.run, as_json=as_json)
    return True


def live_run(client: Client, home: Path, selector: str) -> RunLine:
    """The live run that is meant; without a selector the only one.

    Raises NotFoundError, or UsageError with the candidates when several are live.
    """
    lines = client.get("/v1/runs", RunLines).rows
    if not selector:
        if len(lines) == 1:
            return lines[0]
        candidates = ", ".join(f"r{line.id}" for line in lines)
        raise (
            UsageError(f"{len(lines)} runs are live: say which of {candidates}")
            if lines
            else UsageError(_NONE_LIVE)
        )
    if line := _among(lines, home, selector):
        return line
    raise NotFoundError("live run", selector, _NONE_LIVE)


def _among(lines: tuple[RunLine, ...], home: Path, selector: str) -> RunLine | None:
    run_id = _stored(home, selector)
    return next((line for line in lines if line.id == run_id), None)


def _stored(home: Path, selector: str) -> int:
    with closing(open_reader(home / FILE_NAME)) as connection:
        return queries.find_run(connection, selector).id


def _ask(home: str | None, selector: str, verb: str, effect: str, *, as_json: bool) -> None:
    folder = resolve_home(home)
    client = connect(folder)
    line = live_run(client, folder, selector)
    _say(client.post(f"/v1/runs/{line.id}/{verb}", Applied), effect, as_json=as_json)


def _say(applied: Applied, effect: str, *, as_json: bool) -> None:
    if as_json:
        write_json(applied)
    else:
        write_line(f"{applied.target} {effect}" if applied.applied else f"{applied.target} does so already")


def _say_begun(client: Client, home: Path, line: RunLine, *, as_json: bool) -> None:
    announced = client.announced
    if as_json:
        log = str(home / "log" / "altlas.log")
        write_json(
            {"launch": {"run": f"r{line.id}", "pid": announced.pid, "socket": announced.socket, "log": log}}
        )
        return
    write_line(f"r{line.id} is carried by process {announced.pid}")
    write_line(f"follow it:   altlas run attach r{line.id}")
    write_line(f"end it:      altlas run stop r{line.id}")
