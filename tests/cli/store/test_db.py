"""`altlas db` as users meet it: what it says, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from altlas_agent.daemon.home import HomeLock
from tests.storage.maintenance.examples import change, cut_off, garble_page, make_whole, num_pages

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

DAMAGED_TEXT = "UPDATE bodies SET data = CAST(x'00' || data AS BLOB) WHERE id = 7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the home, with two runs."""
    path = tmp_path / "home" / "altlas.db"
    make_whole(path, attempts=60)
    return path


@pytest.mark.usefixtures("path")
def test_check_says_that_all_is_whole(altlas: Altlas) -> None:
    ended = altlas("db", "check")
    assert ended.returncode == 0
    assert ended.stdout.endswith("altlas.db is whole\n")
    assert json.loads(altlas("db", "check", "--json").stdout)["ok"] is True


def test_check_names_a_damaged_text_and_ends_with_74(altlas: Altlas, path: Path) -> None:
    change(path, DAMAGED_TEXT)
    ended = altlas("db", "check")
    assert ended.returncode == 74
    assert "texts: text 7: the stored text" in ended.stdout
    assert "altlas db recover saves what can be read" in ended.stdout


def test_whatever_reads_a_damaged_text_ends_with_74(altlas: Altlas, path: Path) -> None:
    change(path, "UPDATE bodies SET data = CAST(x'00' || data AS BLOB)")
    ended = altlas("attempt", "show", "r1/5")
    assert ended.returncode == 74
    assert "altlas db check" in ended.stderr


@pytest.mark.parametrize("command", ["check", "vacuum", "backup"])
def test_a_damaged_page_ends_every_command_with_74(altlas: Altlas, path: Path, command: str) -> None:
    garble_page(path, num_pages(path) // 2)
    before = path.read_bytes()
    ended = altlas("db", command)
    assert ended.returncode == 74, ended.stderr
    assert "altlas db recover" in ended.stdout + ended.stderr
    assert path.read_bytes() == before


def test_a_file_that_was_cut_off_ends_with_74_and_is_recovered(altlas: Altlas, path: Path) -> None:
    cut_off(path, 0.8)
    assert altlas("db", "check").returncode == 74
    assert altlas("db", "recover").returncode == 0
    assert altlas("db", "check").returncode == 0


def test_recover_says_what_it_saved_what_is_lost_and_where_the_damaged_file_is(
    altlas: Altlas, path: Path
) -> None:
    change(path, DAMAGED_TEXT)
    ended = altlas("db", "recover")
    assert ended.returncode == 0
    assert "lost: the code of 1 attempts" in ended.stdout
    assert "altlas.db.damaged-1" in ended.stdout
    assert altlas("db", "check").returncode == 0


def test_recover_gives_json(altlas: Altlas, path: Path) -> None:
    change(path, DAMAGED_TEXT)
    found = json.loads(altlas("db", "recover", "--json").stdout)
    assert found["losses"]
    assert {"attempts", "events", "bodies"} <= {table["table"] for table in found["tables"]}


def test_a_file_of_which_nothing_can_be_read_is_left_as_it_is(altlas: Altlas, path: Path) -> None:
    garble_page(path, 1)
    before = path.read_bytes()
    ended = altlas("db", "recover")
    assert ended.returncode == 74
    assert "put a backup in its place" in ended.stderr
    assert path.read_bytes() == before


def test_backup_copies_to_where_it_is_told_and_to_no_file_that_is_there(altlas: Altlas, path: Path) -> None:
    assert altlas("db", "backup", "copy.db").returncode == 0
    copy = path.parent.parent / "copy.db"
    assert copy.is_file()
    again = altlas("db", "backup", "copy.db")
    assert again.returncode == 2
    assert "exists" in again.stderr


def test_backup_without_a_name_lies_beside_the_database(altlas: Altlas, path: Path) -> None:
    found = json.loads(altlas("db", "backup", "--json").stdout)
    assert found["backup"].startswith(f"{path}.bak-")
    assert found["bytes"] > 0


def test_a_recovered_or_put_back_backup_is_a_database_like_any_other(altlas: Altlas, path: Path) -> None:
    altlas("db", "backup", "copy.db")
    garble_page(path, 1)
    (path.parent.parent / "copy.db").replace(path)
    assert altlas("db", "check").returncode == 0
    assert "run-2" in altlas("run", "list").stdout


def test_vacuum_says_how_much_smaller_it_is(altlas: Altlas, path: Path) -> None:
    change(path, "DELETE FROM metrics")
    found = json.loads(altlas("db", "vacuum", "--json").stdout)
    assert found["bytes_after"] <= found["bytes_before"]
    assert found["texts_dropped"] == 0
    assert "MB now" in altlas("db", "vacuum").stdout


@pytest.mark.parametrize("command", ["vacuum", "recover"])
def test_what_writes_needs_the_home_for_itself(altlas: Altlas, path: Path, command: str) -> None:
    with HomeLock(path.parent):
        ended = altlas("db", command)
    assert ended.returncode == 75


def test_what_only_reads_works_beside_another_process(altlas: Altlas, path: Path) -> None:
    with HomeLock(path.parent):
        assert altlas("db", "check").returncode == 0
        assert altlas("db", "backup").returncode == 0


@pytest.mark.parametrize("command", ["check", "vacuum", "backup", "recover"])
def test_without_a_database_there_is_nothing_to_look_after(altlas: Altlas, command: str) -> None:
    ended = altlas("db", command)
    assert ended.returncode == 1
    assert "there are no runs yet" in ended.stderr
