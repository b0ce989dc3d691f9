"""altlas event list and tail, and altlas run tail: what happened in a run, from a cursor on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from altlas_agent.cli.formats.form import Form, Kind, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.history.following import Follower, summary, write_event, write_event_json
from altlas_agent.cli.history.opening import reading
from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import moment
from storage.reading import queries
from storage.reading.events import EventFilter, EventLine, next_events
from storage.reading.status import as_it_is

if TYPE_CHECKING:
    from collections.abc import Callable

_Shown = Shown[EventLine]
_COLUMNS = (
    _Shown("seq", lambda line: str(line.seq), is_number=True),
    _Shown("at", lambda line: moment(line.wall_ns)),
    _Shown("type", lambda line: line.type),
    _Shown("event", summary),
)
FLOOD = ("AttemptScored",)
"""What `run tail` leaves out: it tells of attempts in numbers."""

_LATEST = "@latest"


def _run_argument(command: Callable[..., None]) -> Callable[..., None]:
    return click.argument("run", metavar="[RUN]", default=_LATEST, shell_complete=complete_runs)(command)


def _type_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--type",
        "types",
        multiple=True,
        metavar="TYPE",
        callback=_known_types,
        help="Only events of this type, for example TaskSolved. May be repeated.",
    )(command)


def _known_types(_: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    # Imported here: whoever names no type need not know them all.
    from altlas_agent.core.events import EVENT_TYPES

    known = {
        str(each.__struct_config__.tag).lower(): str(each.__struct_config__.tag)
        for each in EVENT_TYPES
        if each.durable
    }
    for name in names:
        if name.lower() not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(sorted(known.values()))}")
    return tuple(known[name.lower()] for name in names)


@click.group()
def event() -> None:
    """Look at the events of a run."""


@event.command("list")
@_run_argument
@click.option(
    "--cursor", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only events behind this one."
)
@_type_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over; with --json in lines.")
@form_options()
@home_option
def list_events(
    *, run: str, cursor: int, types: tuple[str, ...], follow: bool, form: Form, home: str | None
) -> None:
    """List the events of RUN (@latest if none is named) in order, behind a cursor."""
    if follow and (form.fields or form.kind not in {Kind.TABLE, Kind.JSON}):
        raise click.UsageError("--follow writes lines: for people, or with --json")
    with reading(home) as connection:
        which = EventFilter(run_id=queries.find_run(connection, run).id, types=types)
        if follow:
            writer = write_event_json if form.kind is Kind.JSON else write_event
            Follower(writer, every_s=None).follow(connection, which, after=cursor)
            return
        lines = next_events(connection, which, after=cursor, limit=form.size)
        total = None if types else queries.last_seq(connection, which.run_id)
    is_cut = bool(form.limit) and len(lines) > form.limit
    lines = lines[: form.limit] if is_cut else lines
    last = lines[-1].seq if lines else cursor
    write_listing(
        lines,
        form,
        kind=EventLine,
        columns=_COLUMNS,
        cut=Cut(is_cut, total, f"--cursor {last}"),
        empty="no such events",
        extra={"cursor": last},
    )


@event.command("tail")
@_run_argument
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="How many at first."
)
@_type_option
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over.")
@home_option
@json_option
def tail_events(
    *, run: str, lines: int, types: tuple[str, ...], follow: bool, home: str | None, as_json: bool
) -> None:
    """Write the last events of RUN (@latest if none is named), a line each; with --json one object a line."""
    write = write_event_json if as_json else write_event
    with reading(home) as connection:
        which = EventFilter(run_id=queries.find_run(connection, run).id, types=types)
        follower = Follower(write, every_s=None)
        cursor = follower.tail(connection, which, lines=lines)
        if follow:
            follower.follow(connection, which, after=cursor)


@click.command("tail")
@_run_argument
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=10, show_default=True, help="How many at first."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is over.")
@click.option("--attempts", is_flag=True, help="Tell of every single attempt, too.")
@click.option(
    "--every",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How often to say how far it is.",
)
@home_option
@json_option
def tail_run(
    *, run: str, lines: int, follow: bool, attempts: bool, every: float, home: str | None, as_json: bool
) -> None:
    """Write what happened last in RUN (@latest if none is named) and how far it is; with -f, what comes.

    With --json one object a line: events, and objects of type Progress, which have no `seq`.
    """
    with reading(home) as connection:
        run_id = queries.find_run(connection, run).id
        which = EventFilter(run_id=run_id, but=() if attempts else FLOOD)
        follower = Follower(write_event_json if as_json else write_event, every_s=every)
        cursor = follower.tail(connection, which, lines=lines)
        if follow:
            follower.follow(connection, which, after=cursor)
        else:
            follower.tell(as_it_is(queries.find_run(connection, f"r{run_id}")))
