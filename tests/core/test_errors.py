"""Errors keep their class and message across processes and task groups."""

from __future__ import annotations

import anyio
import pytest

from altlas_agent.core.errors import (
    EXIT_MEANINGS,
    ActorDied,
    AltlasError,
    Exit,
    NotFoundError,
    PolicyError,
    ProcessError,
    SettingsError,
    StorageError,
    TaskError,
    boundary,
    revived,
    ungrouped,
)


def test_foreign_trouble_is_attributed_to_the_border_it_crossed() -> None:
    with (
        pytest.raises(StorageError, match=r"^reading the index: no such key$") as caught,
        boundary(StorageError, "reading the index"),
    ):
        raise ValueError("no such key")
    assert isinstance(caught.value.__cause__, ValueError)


def test_our_own_errors_pass_a_border_unchanged() -> None:
    with pytest.raises(PolicyError, match=r"^as it was$"), boundary(StorageError, "reading"):
        raise PolicyError("as it was")


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [("NoJailError", 69), ("TaskError", 78), ("StorageError", 70), ("NotFoundError", 1)],
)
def test_an_error_from_elsewhere_has_its_class_its_message_and_its_exit_code(
    kind: str, exit_code: int
) -> None:
    error = revived(kind, "what, where, what to do")
    assert type(error).__name__ == kind
    assert (error.message, str(error), error.exit_code) == (*["what, where, what to do"] * 2, exit_code)


@pytest.mark.parametrize("kind", ["KeyError", "", "ActorDied", "DeadlineExceeded", "ProcessError"])
def test_what_is_no_error_of_ours_is_a_process_error(kind: str) -> None:
    assert type(revived(kind, "what")) is ProcessError


async def test_a_single_error_of_a_task_group_comes_out_as_itself() -> None:
    with pytest.raises(ActorDied), ungrouped():
        async with anyio.create_task_group(), anyio.create_task_group():
            raise ActorDied("student", "killed by SIGKILL")


def test_of_several_errors_the_first_comes_out() -> None:
    with pytest.raises(PolicyError), ungrouped():
        raise ExceptionGroup("both", [PolicyError("cause"), StorageError("effect")])


def test_a_group_with_a_bug_stays_whole() -> None:
    with pytest.raises(ExceptionGroup) as caught, ungrouped():
        raise ExceptionGroup("both", [PolicyError("an error"), ExceptionGroup("in", [KeyError("a bug")])])
    assert len(caught.value.exceptions) == 2


def test_a_bug_alone_comes_out_as_itself() -> None:
    with pytest.raises(KeyError), ungrouped():
        raise ExceptionGroup("one", [KeyError("a bug")])


def test_every_exit_code_has_a_meaning() -> None:
    assert set(EXIT_MEANINGS) == set(Exit)


def test_messages_are_built_by_their_classes() -> None:
    assert "altlas run list" in NotFoundError("run", "r9", "see: altlas run list").message
    assert TaskError("a.json: name", "is missing").message.startswith("a.json: name: is missing")
    assert issubclass(SettingsError, AltlasError)
