"""The suites that come with AltLAS: how many, in what, and what each task must bring along."""

from __future__ import annotations

from collections import Counter

import pytest

from altlas_agent import resources
from altlas_agent.core.records import Kind
from altlas_agent.languages.tokens.grammar import MAX_LITERALS
from altlas_agent.tasks.checks import NUM_STATIC, instances
from altlas_agent.tasks.loader import Entry, load_suite
from altlas_agent.tasks.proofs.static import static_failures

SUITES = {name: load_suite(name) for name in ("quickstart", "ladder")}
ENTRIES = [entry for suite in SUITES.values() for entry in suite.entries]

every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)


def test_quickstart_has_twelve_plain_tasks_eight_of_them_in_python() -> None:
    entries = SUITES["quickstart"].entries
    assert {entry.name for entry in entries} == {
        "print-sum", "print-product", "join-words", "count-up", "if-greater", "double", "add", "list-sum",
        "js-difference", "js-upper", "js-count", "js-list-length",
    }  # fmt: skip
    assert Counter(entry.file.target_language for entry in entries) == {"python": 8, "javascript": 4}
    assert not any(entry.is_family for entry in entries)


def test_ladder_has_sixty_tasks_or_more_on_six_rungs() -> None:
    entries = SUITES["ladder"].entries
    assert len(entries) >= 60
    rungs = Counter(entry.file.rung for entry in entries)
    assert sorted(rungs) == [1, 2, 3, 4, 5, 6]
    assert min(rungs.values()) >= 9
    assert [entry.file.rung for entry in entries] == sorted(entry.file.rung for entry in entries)


def test_most_of_the_ladder_are_families_and_a_quarter_is_javascript() -> None:
    entries = SUITES["ladder"].entries
    languages = Counter(entry.file.target_language for entry in entries)
    assert 0.2 <= languages["javascript"] / len(entries) <= 0.3
    assert sum(entry.is_family for entry in entries) > 0.6 * len(entries)


@every_entry
def test_a_file_is_named_after_its_task_and_stands_in_its_suite(entry: Entry) -> None:
    assert entry.path == resources.location("configs", "tasks") / entry.suite / f"{entry.name}.json"


@every_entry
def test_every_task_brings_cheats_tokens_and_hidden_tests(entry: Entry) -> None:
    assert len(entry.file.cheats) >= 2
    assert entry.file.tokens
    assert len(entry.file.tests.hidden) >= (5 if entry.file.kind is Kind.FUNCTION else 1)
    if entry.file.kind is Kind.FUNCTION:
        assert 1 <= len(entry.file.tests.visible) <= 3


@every_entry
def test_every_instance_passes_what_can_be_proved_without_running(entry: Entry) -> None:
    for task in instances(entry, NUM_STATIC):
        assert list(static_failures(task)) == [], task.id


@every_entry
def test_every_literal_of_a_description_has_a_token(entry: Entry) -> None:
    for task in instances(entry, 3):
        assert max(len(task.numbers), len(task.strings)) <= MAX_LITERALS


@every_entry
def test_the_tokens_leave_room_for_a_detour_but_not_for_a_long_one(entry: Entry) -> None:
    spare = entry.file.constraints.max_tokens - len(entry.file.tokens.split())
    assert 2 <= spare <= 6
