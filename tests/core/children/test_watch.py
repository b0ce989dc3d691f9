"""What a child wrote before it died is kept, bounded and harmless; its end has words."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from altlas_agent.core.children.watch import TAIL_BYTES, LastWords, exit_text, kill_tree


@pytest.mark.parametrize(
    ("returncode", "text"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-99, "killed by signal 99"),
    ],
)
def test_an_end_has_words(returncode: int, text: str) -> None:
    assert exit_text(returncode) == text


def test_the_last_lines_are_quoted_harmlessly() -> None:
    words = LastWords(None)
    for number in range(10):
        words.feed(f"line {number}\n\n".encode())
    words.feed(b"\x1b[31mbroken \xff")
    assert words.quoted().split("\n") == [*(f"line {n}" for n in range(5, 10)), "\\x1b[31mbroken \ufffd"]


def test_only_the_end_of_much_text_is_kept() -> None:
    words = LastWords(None)
    words.feed(b"x" * 100_000 + b"end")
    assert len(words.quoted()) == TAIL_BYTES
    assert words.quoted().endswith("xend")


def test_the_log_is_appended_to_and_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_API_KEY", "canary-4f9e")
    path = tmp_path / "log" / "child.log"
    for _ in range(2):
        words = LastWords(path)
        words.feed(b"my key is cana")
        words.feed(b"ry-4f9e\n\x1b[2Jand no newline")
        assert "canary" not in words.quoted()
        words.close()
    assert path.read_text() == "my key is [hidden]\n\\x1b[2Jand no newline" * 2


def test_a_log_that_cannot_be_written_is_given_up_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    words = LastWords(Path("/dev/full"))
    with caplog.at_level(logging.WARNING):
        words.feed(b"hello\n")
        words.feed(b"world\n")
    assert words.quoted() == "hello\nworld"
    assert caplog.text.count("/dev/full: No space left on device; the rest of this log is lost") == 1


def test_killing_what_is_gone_is_no_error() -> None:
    kill_tree(2**22 + 1)
