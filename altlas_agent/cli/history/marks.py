"""altlas run tag, note and delete: what people do with runs that are over. They need the lock of the home."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.history.opening import database, reading
from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import write_block, write_json, write_line
from altlas_agent.core.errors import NotFoundError, StorageError, UsageError
from altlas_agent.core.records import Record
from altlas_agent.daemon.home import HomeLock
from storage.reading import queries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from storage.reading.views import RunView
    from storage.writer import Writer

MAX_TAG = 64
MAX_NOTE = 10_000

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
        _write(home, view, lambda writer: writer.retag(view.id, add=tags, remove=remove))
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
        _write(home, view, lambda writer: writer.set_note(view.id, written))
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
    folder = database(home).parent / "runs" / f"r{view.id}"
    detail = _would_go(home, view, folder)
    if not dry_run and not yes:
        raise UsageError(f"{detail}: this cannot be undone; say --yes, or --dry-run")
    if not dry_run:
        _write(home, view, lambda writer: writer.delete_run(view.id), folder=folder)
    change = Change(target=f"r{view.id}", applied=not dry_run, dry_run=dry_run, detail=detail)
    if as_json:
        write_json(change)
    else:
        write_line(f"{'would delete' if dry_run else 'deleted'} {detail}")


def _find(home: str | None, run: str) -> RunView:
    with reading(home) as connection:
        return queries.find_run(connection, run)


def _write(
    home: str | None, run: RunView, act: Callable[[Writer], Awaitable[bool]], *, folder: Path | None = None
) -> None:
    """Change a run while nobody else can. Raises HomeBusyError while a run goes on in this home."""
    # Imported here: who only reads a tag needs no writer.
    import anyio

    from storage.writer import Writer

    path = database(home)

    async def change() -> None:
        async with Writer(path) as writer:
            if not await act(writer):
                raise NotFoundError("run", f"r{run.id}", "somebody has just taken it away")

    with HomeLock(path.parent):
        if folder is not None:  # first, so that a kill leaves no file of a run that is not there any more
            _remove(folder)
        anyio.run(change)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"cannot remove {folder}: {error.strerror}; nothing else was taken away"
        ) from error


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
    if not re.fullmatch(rf"[^\s,:]{{1,{MAX_TAG}}}", tag) or not tag.isprintable():
        raise UsageError(f"{tag!r} is no tag: 1 to {MAX_TAG} letters without spaces, commas and colons")
