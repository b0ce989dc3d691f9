"""A copy of a database that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError, UsageError
from altlas_agent.core.records import Record
from storage.database import back_up, naming, verdict

if TYPE_CHECKING:
    from pathlib import Path


class Copied(Record):
    """A backup that was made and read again."""

    path: str
    backup: str
    bytes: int


def backup(path: Path, target: Path) -> Copied:
    """Copy the database as it is at one moment; a writer may go on meanwhile.

    Raises UsageError when there is something at `target`, StorageError when it cannot be written, and
    DatabaseDamagedError when the copy is not whole, because the database is not.
    """
    if target.exists():
        raise UsageError(f"{target} exists; name another file for the backup")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}; make it, or name another file for the backup")
    with naming(path):
        back_up(path, target)
        found = verdict(target)
    if found != "ok":
        target.unlink()
        raise DatabaseDamagedError(
            f"{path} is damaged ({found}), so no backup was made; see: altlas db recover"
        )
    return Copied(path=str(path), backup=str(target), bytes=target.stat().st_size)
