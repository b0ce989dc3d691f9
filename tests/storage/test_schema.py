from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine
from sqlmodel import SQLModel

from storage import tables
from storage.database import SCHEMA, open_writer
from storage.migrations.apply import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

_DEFINITIONS = (
    "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
)


def test_migrations_make_the_tables_that_the_classes_describe(tmp_path: Path) -> None:
    open_writer(tmp_path / "altlas.db").close()
    options = {"compare_type": True, "compare_server_default": True, "include_name": _is_ours}
    with _engine(tmp_path / "altlas.db").connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_migrations_and_classes_agree_to_the_letter(tmp_path: Path) -> None:
    open_writer(tmp_path / "migrated.db").close()
    SQLModel.metadata.create_all(_engine(tmp_path / "created.db"))
    assert _definitions(tmp_path / "migrated.db") == _definitions(tmp_path / "created.db")


def test_the_schema_number_is_that_of_the_newest_revision() -> None:
    numbers = [int(path.name[1:5]) for path in (FOLDER / "versions").glob("r*.py")]
    assert sorted(numbers) == list(range(1, SCHEMA + 1))


def test_every_table_has_a_class() -> None:
    named = {
        each.__tablename__
        for each in vars(tables).values()
        if isinstance(each, type) and issubclass(each, SQLModel) and each is not SQLModel
    }
    assert named == set(SQLModel.metadata.tables)


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    """False for the search, which is virtual and brings tables of its own."""
    return not (kind == "table" and name is not None and name.startswith("program_search"))


def _engine(path: Path) -> Engine:
    return create_engine(f"sqlite:///{path}", poolclass=NullPool)


def _definitions(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: re.sub(r"\s*([\s(),])\s*", r"\1", sql) for name, sql in connection.execute(_DEFINITIONS)
        }
