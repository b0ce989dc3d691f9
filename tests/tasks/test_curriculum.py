"""Easy tasks first, a stretch of groups each, solved ones now and then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from altlas_agent.settings.tasks import TaskSettings
from altlas_agent.tasks.curriculum import Curriculum
from altlas_agent.tasks.loader import load_suite
from tests.tasks.examples import family, stdout_task, write

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from altlas_agent.core.records import Task

LETTERS = "abcdefgh"


def curriculum(folder: Path, *, seed: int = 0, **settings: JsonValue) -> Curriculum:
    """Tasks a, b ... h in this order, and a family s behind them, in batches of 4 groups."""
    write(
        folder / "demo",
        *(stdout_task(name=name, rung=1 + place) for place, name in enumerate(LETTERS)),
        family(name="s", rung=20),
    )
    defaults: dict[str, JsonValue] = {"groups_per_batch": 4, "patience_groups": 2, "rehearsal_share": 0.25}
    return Curriculum(load_suite(folder / "demo"), TaskSettings.model_validate(defaults | settings), seed)


def names(tasks: list[Task]) -> str:
    return "".join(task.name for task in tasks)


def solve(made: Curriculum, letters: str) -> None:
    for letter in letters:
        made.mark_solved(f"demo/{letter}")


def test_the_first_batch_holds_the_easiest_tasks(tmp_path: Path) -> None:
    assert names(curriculum(tmp_path).pick()) == "abcd"


def test_after_its_patience_a_task_makes_room_for_the_next(tmp_path: Path) -> None:
    made = curriculum(tmp_path)
    assert [names(made.pick()) for _ in range(7)] == ["abcd", "abcd", "efgh", "efgh", "sabc", "sabc", "defg"]


def test_a_solved_task_gives_its_place_away(tmp_path: Path) -> None:
    made = curriculum(tmp_path, rehearsal_share=0.0)
    made.pick()
    solve(made, "b")
    assert names(made.pick()) == "acde"


def test_solved_tasks_are_rehearsed_in_their_share(tmp_path: Path) -> None:
    made = curriculum(tmp_path, rehearsal_share=0.5)
    solve(made, "abc")
    for _ in range(20):
        picked = names(made.pick())
        assert len(picked) == 4
        assert len(set(picked) & set("abc")) == 2


def test_a_share_that_is_no_whole_group_is_rounded_down(tmp_path: Path) -> None:
    made = curriculum(tmp_path, rehearsal_share=0.2)
    solve(made, "abc")
    assert not set(names(made.pick())) & set("abc")


def test_few_tasks_that_are_left_get_several_groups_each(tmp_path: Path) -> None:
    made = curriculum(tmp_path, groups_per_batch=8)
    solve(made, "abcdefs")
    counts = Counter(names(made.pick()))
    assert (counts["g"], counts["h"]) == (3, 3)
    assert sum(counts.values()) == 8


def test_when_all_is_solved_everything_is_rehearsed(tmp_path: Path) -> None:
    made = curriculum(tmp_path)
    solve(made, LETTERS)
    assert not made.is_complete
    solve(made, "s")
    assert made.is_complete
    assert len(made.pick()) == 4


def test_a_task_is_solved_for_the_first_time_once(tmp_path: Path) -> None:
    made = curriculum(tmp_path)
    assert made.mark_solved("demo/c")
    assert made.mark_solved("demo/a")
    assert not made.mark_solved("demo/c")
    assert made.solved == ("demo/a", "demo/c")


def test_a_single_group_goes_to_what_is_not_solved(tmp_path: Path) -> None:
    made = curriculum(tmp_path, groups_per_batch=1, rehearsal_share=0.9)
    solve(made, "a")
    assert names(made.pick()) == "b"


def test_a_family_gives_another_instance_each_time(tmp_path: Path) -> None:
    made = curriculum(tmp_path, train_instances=5)
    solve(made, LETTERS)
    instances = [task.instance for _ in range(3) for task in made.pick() if task.name == "s"]
    assert instances == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_the_order_depends_on_the_seed_only(tmp_path: Path) -> None:
    def walk(seed: int) -> list[str]:
        made = curriculum(tmp_path, seed=seed, rehearsal_share=0.5)
        solve(made, "abcdef")
        return [task.id for _ in range(20) for task in made.pick()]

    assert walk(1) == walk(1)
    assert walk(1) != walk(2)


def test_siblings_are_other_training_instances_that_ask_for_something_else(tmp_path: Path) -> None:
    made = curriculum(tmp_path, verify_instances=4)
    solve(made, LETTERS)
    task = made.pick()[0]
    siblings = made.siblings(task)
    assert len(siblings) == 4
    assert len({each.description for each in (task, *siblings)}) == 5
    assert all(each.id.startswith("demo/s#train-") for each in siblings)
    assert made.siblings(task) == siblings


def test_a_family_of_few_values_has_few_siblings(tmp_path: Path) -> None:
    write(tmp_path / "demo", family(parameters={"k": {"choices": [3, 4, 5, 6, 7]}}))
    made = Curriculum(load_suite(tmp_path / "demo"), TaskSettings(verify_instances=20), seed=0)
    task = made.pick()[0]
    texts = [each.description for each in (task, *made.siblings(task))]
    assert 1 < len(texts) == len(set(texts)) <= 5


@pytest.mark.parametrize(("letter", "verify"), [("a", 3), ("s", 0)])
def test_a_plain_task_and_a_family_that_is_not_verified_have_none(
    tmp_path: Path, letter: str, verify: int
) -> None:
    made = curriculum(tmp_path, verify_instances=verify)
    solve(made, (LETTERS + "s").replace(letter, ""))
    assert made.siblings(made.pick()[0]) == ()
