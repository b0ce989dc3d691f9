"""How a policy reads a task."""

from __future__ import annotations

import msgspec

from altlas_agent.core.records import Beside
from altlas_agent.generation.prompts import encode, words
from altlas_agent.settings.policies import Reading
from altlas_agent.tasks.files.literals import numbers_of, strings_of
from tests.languages.programs import task_of


def test_literals_are_read_as_the_slots_that_stand_for_them() -> None:
    text = "Print 5 times 'a b', then -3 and \"c\"; it's 2.5 less."
    task = msgspec.structs.replace(
        task_of(params=("num",)), description=text, numbers=numbers_of(text), strings=strings_of(text)
    )
    read = words(task)
    assert [word for word in read if word.startswith(("<num_", "<str_"))] == [
        "<num_0>",
        "<str_0>",
        "<num_1>",
        "<str_1>",
    ]
    assert read[:4] == ["<python>", "<function>", "<num>", "<returns num>"]


def test_instances_of_a_family_read_the_same() -> None:
    first, second = (
        msgspec.structs.replace(task_of(), description=f"Print the sum of {a} and {b}.")
        for a, b in ((5, 3), (12, 40))
    )
    assert words(first) == words(second)


def test_descriptions_are_padded_with_a_word_of_their_own() -> None:
    short, long = (msgspec.structs.replace(task_of(), description=text) for text in ("one", "one two three"))
    prompts = encode([short, long], [0, 1, 1], Reading(64))
    assert prompts.words_PW.shape[0] == 2
    assert int((prompts.words_PW[0] == 0).sum()) == 2
    assert int(prompts.words_PW.max()) < 64


def test_texts_lie_side_by_side_and_empty_ones_take_no_room() -> None:
    task = msgspec.structs.replace(task_of(), description="one two")
    reading = Reading(64, hint=8, error=8)
    alone = encode([task], [0], reading)
    both = encode([task], [0], reading, [Beside(hint="try this", error="", context="not read")])
    assert alone.words_PW.shape[1] + 2 == both.words_PW.shape[1]
    assert both.sources_PW[0].tolist() == [0] * alone.words_PW.shape[1] + [1, 1]
    assert both.words_PW[0, : alone.words_PW.shape[1]].tolist() == alone.words_PW[0].tolist()


def test_a_hint_of_ten_thousand_words_is_cut_and_the_reason_told() -> None:
    task = task_of()
    reading = Reading(64, hint=16)
    prompts = encode([task], [0], reading, [Beside(hint="word " * 10_000 + "x" * 10_000_000)])
    assert int((prompts.sources_PW == 1).sum()) == 16
    assert prompts.cuts == (f"hint of {task.key}: only the first 16 words are read, by policy.hint_words",)
