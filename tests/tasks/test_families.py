"""Families: the same instance always, training and unseen ones apart, and values where they belong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.errors import TaskError
from altlas_agent.tasks.files.family import draw, fill, split_of
from altlas_agent.tasks.loader import Entry, load_suite, read_entry
from altlas_agent.tasks.schema import Parameter
from tests.tasks.examples import changed, family, stdout_task, write

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.tasks.files.family import Split
    from tests.tasks.examples import Tree

parameters = st.one_of(
    st.tuples(st.integers(-1000, 1000), st.integers(8, 500)).map(
        lambda pair: {"from": pair[0], "to": pair[0] + pair[1]}
    ),
    st.lists(st.integers() | st.text(max_size=5), min_size=12, max_size=20, unique_by=repr).map(
        lambda choices: {"choices": [c if isinstance(c, str) else c % 2**53 for c in choices]}
    ),
    st.integers(2, 5).map(lambda size: {"list": {"length": [size, size + 3], "from": -9, "to": 9}}),
)


def _parameters(trees: dict[str, object]) -> dict[str, Parameter]:
    return {name: Parameter.model_validate_json(json.dumps(tree)) for name, tree in trees.items()}


@given(
    st.dictionaries(st.sampled_from("abcd"), parameters, min_size=1), st.text(max_size=9), st.integers(0, 500)
)
def test_splits_never_share_values_and_draws_repeat(trees: dict[str, object], name: str, index: int) -> None:
    declared = _parameters(trees)
    splits: tuple[Split, ...] = ("train", "unseen")
    for split in splits:
        values = draw(name, declared, split, index=index)
        assert values == draw(name, declared, split, index=index)
        if values is not None:
            assert split_of(values) == split


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(0, 300))
def test_drawn_numbers_keep_their_range(least: int, span: int, index: int) -> None:
    values = draw("x", _parameters({"a": {"from": least, "to": least + span}}), "train", index=index)
    assert values is None or least <= int(str(values["a"])) <= least + span


def test_the_order_of_declared_parameters_changes_nothing() -> None:
    one = _parameters({"a": {"from": 1, "to": 99}, "b": {"from": 1, "to": 99}})
    other = dict(reversed(one.items()))
    assert draw("x", one, "train", index=3) == draw("x", other, "train", index=3)


def test_draws_stay_the_same_from_release_to_release() -> None:
    entry = load_suite("ladder").entry("print-sum")
    assert [entry.instance("train", index).numbers for index in range(3)] == [(29, 46), (53, 19), (8, 29)]


def _read(folder: Path) -> Entry:
    return read_entry(write(folder, family()), "here")


def test_training_and_unseen_instances_have_no_text_in_common(tmp_path: Path) -> None:
    entry = _read(tmp_path)
    train = {entry.instance("train", index).description for index in range(300)}
    unseen = {entry.instance("unseen", index).description for index in range(300)}
    assert train
    assert unseen
    assert not train & unseen
    assert len(train | unseen) == 58


def test_an_instance_holds_its_values_everywhere_and_with_their_types(tmp_path: Path) -> None:
    task = _read(tmp_path).instance("train", 7)
    (k,) = task.numbers
    assert task.description == f"Write a function shift(n) that returns n plus {k}."
    assert task.reference == f"def shift(n):\n    return n + {k}\n"
    assert task.cheats == (f"def shift(n):\n    return {k}\n",)
    assert task.constraints.require_numbers == (float(k),)
    assert [case.expected for case in task.cases] == [str(k), "", "", ""]
    assert (task.id, task.key, task.instance) == ("here/shift#train-7", "here/shift", 7)


def test_instances_of_both_splits_have_ids_of_their_own(tmp_path: Path) -> None:
    entry = _read(tmp_path)
    assert entry.instance("unseen", 7).id == "here/shift#unseen-7"
    assert entry.instance().id == "here/shift#train-0"


def test_only_declared_names_are_replaced_and_values_are_not_searched_again() -> None:
    tree: Tree = {"text": "{a} {b} {c} {{a}} { a }", "list": ["{b}", "{a}!"], "n": 1}
    filled = fill(tree, {"a": "{b}", "b": [1, 2]})
    assert filled == {"text": "{b} [1, 2] {c} {{b}} { a }", "list": [[1, 2], "{b}!"], "n": 1}


def test_name_and_parameters_are_never_filled_in() -> None:
    tree: Tree = {"name": "{a}", "parameters": {"a": {"choices": ["{a}"]}}}
    assert fill(tree, {"a": 1}) == tree


def test_too_few_values_for_two_splits_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, changed(family(), "parameters.k", {"from": 5, "to": 5}))
    with pytest.raises(TaskError, match=r"shift\.json: parameters: no (train|unseen) instance in 1000 draws"):
        read_entry(path, "here")


def test_a_parameter_that_no_text_mentions_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, changed(family(), "parameters.spare", {"from": 1, "to": 9}))
    with pytest.raises(TaskError, match=r"parameters\.spare: no text mentions \{spare\}"):
        read_entry(path, "here")


def test_a_family_needs_a_parameter(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="parameters: a family needs at least one"):
        read_entry(write(tmp_path, stdout_task(parameters={})), "here")


def test_a_broken_parameter_is_told_with_the_other_problems_and_without_made_up_ones(tmp_path: Path) -> None:
    tree = changed(changed(family(), "parameters.k", {"from": 5, "too": 9}), "limits", {"cpu": 1})
    with pytest.raises(TaskError) as caught:
        read_entry(write(tmp_path, tree), "here")
    places = [line.split(":")[0].strip() for line in caught.value.message.splitlines()[1:-1]]
    assert places == ["limits.cpu", "parameters.k.too"]


def test_an_instance_that_breaks_a_rule_names_the_place(tmp_path: Path) -> None:
    tree = changed(family(), "parameters.k", {"choices": ["a", "b", "c", "d", "e", "f", "g", "h"]})
    with pytest.raises(TaskError, match=r"shift\.json"):
        read_entry(write(tmp_path, tree), "here")
