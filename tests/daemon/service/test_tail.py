"""The end of a log, and what is added to it, across the change to a new file."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from altlas_agent.daemon.service import tail
from altlas_agent.daemon.service.tail import lines_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LOOK_S", 0.01)


@pytest.mark.parametrize(("last", "lines"), [(2, ["b", "c"]), (9, ["a", "b", "c"]), (0, [])])
def test_the_last_lines_are_shown(tmp_path: Path, last: int, lines: list[str]) -> None:
    (tmp_path / "log").write_text("a\nb\nc\n")
    assert list(lines_of(tmp_path / "log", last=last, follow=False)) == lines


def test_a_file_that_is_missing_is_empty(tmp_path: Path) -> None:
    assert list(lines_of(tmp_path / "log", last=5, follow=False)) == []


def test_it_goes_on_with_what_is_added_and_with_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\n")
    found = lines_of(path, last=1, follow=True)
    assert next(found) == "b"
    with path.open("a") as file:
        file.write("c\nhal")
        file.flush()
        assert next(found) == "c"
        threading.Timer(0.1, lambda: print("f", file=file, flush=True)).start()
        assert next(found) == "half"
    path.rename(tmp_path / "log.1")
    path.write_text("d\ne\n")
    assert list(islice(found, 2)) == ["d", "e"]
    found.close()


def test_it_waits_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "log"
    threading.Timer(0.1, lambda: path.write_text("a\n")).start()
    found = lines_of(path, last=5, follow=True)
    assert next(found) == "a"
    found.close()
