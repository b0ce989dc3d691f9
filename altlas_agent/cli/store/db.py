"""altlas db: is the database whole, make it smaller, copy it, save what can be read of a damaged one."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import Column, write_json, write_line, write_table
from altlas_agent.core.errors import Exit, NotFoundError
from altlas_agent.daemon.home import HomeLock, resolve_home
from storage.database import FILE_NAME, open_reader

if TYPE_CHECKING:
    from storage.maintenance.check import Check

_CHECK_COLUMNS = (Column("check"), Column("whole"), Column("problems", is_number=True))
_SAVED_COLUMNS = (
    Column("table"),
    Column("kept", is_number=True),
    Column("unreadable places", is_number=True),
    Column("refused", is_number=True),
)
_MB = 1e6


@click.group()
def db() -> None:
    """Look after the database of a home."""


@db.command()
@home_option
@json_option
def check(*, home: str | None, as_json: bool) -> int:
    """Read everything and say whether it is whole: pages, references, events, sums, texts.

    A run may go on meanwhile. Exit code 0: all is whole. 74: it is not.
    """
    from storage.maintenance.check import check as ask_everything

    path = _database(home)
    with closing(open_reader(path)) as connection:
        checks = ask_everything(connection)
    is_whole = all(each.ok for each in checks)
    if as_json:
        write_json({"path": str(path), "ok": is_whole, "checks": checks})
    else:
        _print_checks(checks)
        write_line(
            f"{path} is {'whole' if is_whole else 'damaged: altlas db recover saves what can be read'}"
        )
    return Exit.DONE if is_whole else Exit.DATABASE_DAMAGED


@db.command()
@home_option
@json_option
def vacuum(*, home: str | None, as_json: bool) -> None:
    """Make the file as small as what it holds, without texts that only deleted runs used.

    Nothing else may use the home, and there must be room for the file twice.
    """
    from storage.maintenance.space import vacuum as shrink

    path = _database(home)
    with HomeLock(path.parent):
        shrunk = shrink(path)
    if as_json:
        write_json(shrunk)
    else:
        before, after = shrunk.bytes_before / _MB, shrunk.bytes_after / _MB
        write_line(f"{path}: {before:.1f} MB before, {after:.1f} MB now")


@db.command()
@click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path, dir_okay=False), required=False)
@home_option
@json_option
def backup(*, file: Path | None, home: str | None, as_json: bool) -> None:
    """Copy the database to FILE, as it is at this moment. A run may go on meanwhile.

    Without FILE the copy lies beside the database, with the time in its name.
    """
    from storage.maintenance.backup import backup as copy

    path = _database(home)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copied = copy(path, (file or path.with_name(f"{FILE_NAME}.bak-{now}")).absolute())
    if as_json:
        write_json(copied)
    else:
        write_line(f"{copied.backup}: {copied.bytes / _MB:.1f} MB")


@db.command()
@home_option
@json_option
def recover(*, home: str | None, as_json: bool) -> None:
    """Save what can be read of a damaged database into a new one, and say what was lost.

    Nothing else may use the home. The damaged file is kept beside the new one. Exit code 74: nothing can be
    read, and nothing was changed.
    """
    from storage.maintenance.recover import recover as save

    path = _database(home)
    with HomeLock(path.parent):
        found = save(path)
    if as_json:
        write_json(found)
        return
    write_table(
        _SAVED_COLUMNS,
        [[each.table, str(each.kept), str(each.holes), str(each.refused)] for each in found.tables],
    )
    for loss in found.losses:
        write_line(f"lost: {loss}")
    write_line(f"{found.path} is new; the damaged database is {found.damaged}")


def _database(home: str | None) -> Path:
    path = resolve_home(home) / FILE_NAME
    if not path.is_file():
        raise NotFoundError("database", str(path), "there are no runs yet: altlas run start quickstart")
    return path


def _print_checks(checks: tuple[Check, ...]) -> None:
    write_table(_CHECK_COLUMNS, [[each.name, "yes" if each.ok else "no", str(each.count)] for each in checks])
    for each in checks:
        for problem in each.problems:
            write_line(f"{each.name}: {problem}")
