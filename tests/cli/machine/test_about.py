"""Where things lie, and what this stands on."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from altlas_agent import __version__

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]


def test_paths_say_where_things_lie_and_whether_they_are_there(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    rows = {row["name"]: row for row in json.loads(altlas("paths", "--json").stdout)["rows"]}
    assert (rows["home"]["path"], rows["home"]["exists"]) == (str(tmp_path / "home"), True)
    assert (rows["database"]["path"], rows["database"]["exists"]) == (
        str(tmp_path / "home" / "altlas.db"),
        False,
    )
    assert rows["settings of yours"]["path"] == str(tmp_path / "config" / "altlas" / "config.toml")


def test_the_version_is_that_of_this_and_of_what_it_stands_on(altlas: Altlas) -> None:
    found = json.loads(altlas("version", "--json").stdout)
    assert (found["altlas"], found["sqlite"]) == (__version__, sqlite3.sqlite_version)
    assert f"sqlite     {sqlite3.sqlite_version}\n" in altlas("version").stdout
