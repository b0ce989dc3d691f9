"""Notes, tags and signs of life of runs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database import open_reader
from storage.reading import queries
from storage.rows import EndRow, HeartbeatRow, Rows
from storage.writer import Writer
from tests.builders import NOW_NS, make_run_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.reading.views import RunView


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def test_a_run_keeps_its_note_and_its_tags_in_order(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        assert await writer.set_note(run_id, "a first try")
        assert await writer.retag(run_id, add=["slow", "good", "good"])
        assert await writer.retag(run_id, add=["best"], remove=["slow", "never given"])
    assert (_run(path).note, _run(path).tags) == ("a first try", ("best", "good"))


async def test_a_run_begins_without_a_note_and_without_tags(path: Path) -> None:
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [])
    assert (_run(path).note, _run(path).tags) == ("", ())


async def test_what_is_said_about_no_run_is_refused(path: Path) -> None:
    async with Writer(path) as writer:
        assert not await writer.set_note(9, "of nothing")
        assert not await writer.retag(9, add=["x"])
        assert not await writer.resume_run(9, pid=1, now_ns=NOW_NS)


@pytest.mark.parametrize(("before", "limit", "expected"), [(9, 0, [3, 1]), (3, 0, [1]), (9, 1, [3])])
async def test_runs_are_found_by_tag_newest_first(
    path: Path, before: int, limit: int, expected: Sequence[int]
) -> None:
    async with Writer(path) as writer:
        for _ in range(3):
            await writer.begin_run(make_run_row(), [])
        await writer.retag(1, add=["good", "slow"])
        await writer.retag(3, add=["good"])
    with closing(open_reader(path)) as connection:
        found = queries.tagged_runs(connection, "good", before=before, limit=limit)
    assert [run.id for run in found] == expected


async def test_a_running_run_has_a_heartbeat_from_its_beginning(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        assert _run(path).heartbeat_ns == NOW_NS
        await writer.durable(Rows(heartbeats=[HeartbeatRow(run_id, NOW_NS + 5)]))
        assert _run(path).heartbeat_ns == NOW_NS + 5
        await writer.end_run(EndRow(run_id, "ended", "done", NOW_NS + 6))
        await writer.durable(Rows(heartbeats=[HeartbeatRow(run_id, NOW_NS + 7)]))
        assert _run(path).heartbeat_ns == NOW_NS + 5


async def test_a_crashed_run_lived_until_its_last_heartbeat(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        await writer.durable(Rows(heartbeats=[HeartbeatRow(run_id, NOW_NS + 4_000_000_000)]))
    async with Writer(path):
        pass
    assert (_run(path).status, _run(path).wall_s) == ("crashed", 4.0)


async def test_a_run_that_is_over_can_go_on_and_a_running_one_not_twice(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        assert not await writer.resume_run(run_id, pid=77, now_ns=NOW_NS)
        await writer.end_run(EndRow(run_id, "interrupted", "ctrl-c", NOW_NS + 6))
        assert await writer.resume_run(run_id, pid=77, now_ns=NOW_NS + 8)
        run = _run(path)
    assert (run.status, run.reason, run.pid) == ("running", "", 77)
    assert (run.ended_ns, run.heartbeat_ns) == (None, NOW_NS + 8)


def _run(path: Path) -> RunView:
    with closing(open_reader(path)) as connection:
        return queries.find_run(connection, "@latest")
