"""altlas run tag, note and delete: what people do with runs that are stored."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.history import changing
from altlas_agent.cli.history.opening import database, reading
from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import write_block, write_json, write_line
from altlas_agent.core.errors import NotFoundError, UsageError
from altlas_agent.core.records import Record
from storage.journal import JOURNAL_RUN
from storage.reading import queries
from storage.runs.marks import MAX_NOTE, TAG

if TYPE_CHECKING:
    from pathlib import Path

    from storage.reading.views import RunView

_MB = 1e6


class Change(Record):
    """What a command did, or would do."""

    target: str
    applied: bool
    dry_run: bool
    detail: str


@click.command("tag")
@run_argument
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--remove", multiple=True, metavar="TAG", help="Take this one away. May be repeated.")
@home_option
@json_option
def tag_run(
    *, run: str, tags: tuple[str, ...], remove: tuple[str, ...], home: str | None, as_json: bool
) -> None:
    """Give words to a run, or take them away. Without any, write those it has.

    The run is found by them again: altlas run list --tag TAG, or tag:TAG where a run is named.
    """
    for tag in tags:
        _check_tag(tag)
    view = _find(home, run)
    if tags or remove:
        changing.retag(database(home).parent, view.id, add=tags, remove=remove)
        view = _find(home, f"r{view.id}")
    if as_json:
        write_json(
            {"target": f"r{view.id}", "applied": bool(tags or remove), "dry_run": False, "tags": view.tags}
        )
    else:
        write_line(f"r{view.id}: {' '.join(view.tags) or 'no tags'}")


@click.command("note")
@run_argument
@click.argument("text", required=False)
@home_option
@json_option
def note_run(*, run: str, text: str | None, home: str | None, as_json: bool) -> None:
    """Write something about a run, or read it.

    TEXT replaces what was written before; "" takes it away, and "-" reads standard input.
    """
    view = _find(home, run)
    if text is not None:
        written = sys.stdin.read(MAX_NOTE + 1).rstrip("\n") if text == "-" else text
        if len(written) > MAX_NOTE:
            raise UsageError(f"a note may have {MAX_NOTE} characters")
        changing.set_note(database(home).parent, view.id, written)
        view = _find(home, f"r{view.id}")
    if as_json:
        write_json(
            {"target": f"r{view.id}", "applied": text is not None, "dry_run": False, "note": view.note}
        )
    elif view.note:
        write_block(f"r{view.id}", view.note)
    else:
        write_line(f"r{view.id}: no note")


@click.command("delete")
@run_argument
@click.option("--yes", is_flag=True, help="Really do it: it cannot be undone.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@home_option
@json_option
def delete_run(*, run: str, yes: bool, dry_run: bool, home: str | None, as_json: bool) -> None:
    """Take a run away, with all that it holds.

    Its attempts, events, metrics, checkpoints and files go. Texts that other runs share stay; altlas db vacuum
    makes the database smaller.
    """
    view = _find(home, run)
    detail = _would_go(home, view, changing.files_of(database(home).parent, view.id))
    if not dry_run and not yes:
        raise UsageError(f"{detail}: this cannot be undone; say --yes, or --dry-run")
    if not dry_run:
        changing.delete(database(home).parent, view.id)
    change = Change(target=f"r{view.id}", applied=not dry_run, dry_run=dry_run, detail=detail)
    if as_json:
        write_json(change)
    else:
        write_line(f"{'would delete' if dry_run else 'deleted'} {detail}")


def _find(home: str | None, run: str) -> RunView:
    with reading(home) as connection:
        view = queries.find_run(connection, run)
    if view.id == JOURNAL_RUN:
        raise NotFoundError(
            "run", run, "that is the journal of the daemon; the runs there are: altlas run list"
        )
    return view


def _would_go(home: str | None, run: RunView, folder: Path) -> str:
    with reading(home) as connection:
        events = queries.last_seq(connection, run.id)
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    size = sum(path.stat().st_size for path in files) / _MB
    name = f" {run.name}" if run.name else ""
    return (
        f"run r{run.id}{name}: {run.attempts} attempts, {events} events, {len(files)} files of {size:.1f} MB"
    )


def _check_tag(tag: str) -> None:
    if not re.fullmatch(TAG, tag) or not tag.isprintable():
        raise UsageError(f"{tag!r} is no tag: 1 to 64 letters without spaces, commas and colons")
