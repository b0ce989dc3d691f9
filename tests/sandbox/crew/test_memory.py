"""Memory: asked once, kept if it may be, made anew when it came to nothing."""

from __future__ import annotations

import anyio
import pytest

from altlas_agent.sandbox.crew.memory import Memory


class Maker:
    def __init__(self, *, fails: bool = False) -> None:
        self.made = 0
        self.fails = fails

    async def __call__(self) -> int:
        self.made += 1
        await anyio.sleep(0.01)
        if self.fails:
            raise ValueError("no answer")
        return self.made


async def test_an_answer_is_made_once() -> None:
    memory, maker = Memory[int](10), Maker()
    assert [await memory.recall("a", maker, keeps=lambda _: True) for _ in range(3)] == [1, 1, 1]
    assert (memory.hits, memory.misses) == (2, 1)


async def test_who_needs_an_answer_in_the_making_waits_for_it() -> None:
    memory, maker, answers = Memory[int](10), Maker(), list[int]()

    async def ask() -> None:
        answers.append(await memory.recall("a", maker, keeps=lambda _: True))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    assert (answers, maker.made) == ([1] * 5, 1)


async def test_what_may_not_be_kept_is_made_again() -> None:
    memory, maker = Memory[int](10), Maker()
    assert [await memory.recall("a", maker, keeps=lambda _: False) for _ in range(2)] == [1, 2]


async def test_a_failure_is_not_remembered() -> None:
    memory, maker = Memory[int](10), Maker(fails=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="no answer"):
            await memory.recall("a", maker, keeps=lambda _: True)
    assert maker.made == 2


async def test_when_the_maker_is_cancelled_another_one_makes_it() -> None:
    memory, maker = Memory[int](10), Maker()
    with anyio.move_on_after(0.001):
        await memory.recall("a", maker, keeps=lambda _: True)
    assert await memory.recall("a", maker, keeps=lambda _: True) == 2


async def test_the_least_recently_used_is_forgotten() -> None:
    memory, maker = Memory[int](2), Maker()
    for key in "abac":
        await memory.recall(key, maker, keeps=lambda _: True)
    await memory.recall("a", maker, keeps=lambda _: True)
    assert maker.made == 3
    await memory.recall("b", maker, keeps=lambda _: True)
    assert maker.made == 4


async def test_without_room_everything_is_made() -> None:
    memory, maker = Memory[int](0), Maker()
    assert [await memory.recall("a", maker, keeps=lambda _: True) for _ in range(2)] == [1, 2]
