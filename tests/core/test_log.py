"""The log goes to stderr and to a rotating file, and a secret goes to neither."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-4f9e'x/2"
logger = logging.getLogger("altlas_agent.test")


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TEACHER_API_KEY", CANARY)
    level = logging.getLogger().level
    yield
    log.take_down()
    logging.getLogger().setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_entry_goes_to_stderr_and_into_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info", tmp_path / "log")
    logger.info("hello %s", "world")
    logger.debug("too quiet")
    text = (tmp_path / "log" / "altlas.log").read_text()
    assert "INFO    altlas_agent.test: hello world" in text
    assert "too quiet" not in text
    captured = capsys.readouterr()
    assert "hello world" in captured.err
    assert captured.out == ""


def write_secrets_everywhere() -> None:
    logger.warning("in the message: " + CANARY)  # noqa: G003 - the careless form is the point
    logger.warning("in the arguments: %s %r", CANARY, {"key": CANARY})
    logger.warning("for a URL: ?key=canary-4f9e%27x%2F2")
    logger.warning("headers: %s", {"Authorization": "Bearer abc.def-123456"})
    logger.warning("a key that no variable holds: sk-proj-0123456789")
    try:
        raise ValueError(f"401 for key {CANARY}")
    except ValueError:
        logger.exception("request failed", stack_info=True)


def assert_clean(text: str) -> None:
    assert text.count(log.HIDDEN) >= 7
    for secret in ("canary", "4f9e", "abc.def", "sk-proj", "0123456789"):
        assert secret not in text.replace("CANARY", "")
    assert "ValueError: 401 for key" in text


def test_no_secret_reaches_stderr_or_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("debug", tmp_path)
    write_secrets_everywhere()
    assert_clean((tmp_path / "altlas.log").read_text())
    assert_clean(capsys.readouterr().err)


def test_no_secret_reaches_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    log.set_up("debug", None)
    write_secrets_everywhere()
    assert_clean(terminal.getvalue())


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_a_terminal_gets_colour_unless_it_says_no(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    log.set_up("info", None)
    logger.error("[bold]no markup[/bold] \x1b[2J")
    shown = terminal.getvalue()
    assert "[bold]no markup[/bold]" in shown
    assert "\x1b[2J" not in shown
    assert r"\x1b[2J" in shown
    assert ("\x1b[31" in shown or "\x1b[1;31" in shown) == coloured


@pytest.mark.parametrize("name", ["X_KEY", "X_TOKEN", "X_SECRET", "X_PASSWORD", "x_token"])
def test_every_kind_of_secret_variable_is_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "swordfish")
    assert log.redact("the word is swordfish!") == f"the word is {log.HIDDEN}!"


def test_the_longest_of_two_secrets_is_hidden_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "abcdef")
    monkeypatch.setenv("B_KEY", "abcdefghij")
    assert log.redact("abcdefghij") == log.HIDDEN


def test_short_values_and_other_variables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_KEY", "1")
    monkeypatch.setenv("X_KEYBOARD", "qwertz")
    assert log.redact("1 qwertz keyboard, risk-averse tokens") == "1 qwertz keyboard, risk-averse tokens"


def test_the_file_rotates_and_three_older_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 2000)
    log.set_up("info", tmp_path)
    for number in range(200):
        logger.info("entry %d %s", number, "x" * 50)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "altlas.log",
        "altlas.log.1",
        "altlas.log.2",
        "altlas.log.3",
    ]


def test_setting_up_twice_writes_an_entry_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("info", tmp_path)
    log.set_up("info", tmp_path)
    logger.info("once")
    assert (tmp_path / "altlas.log").read_text().count("once") == 1
    assert capsys.readouterr().err.count("once") == 1


LOG_NO_UNICODE = """
import logging, pathlib, sys
from altlas_agent.core import log
log.set_up("info", pathlib.Path(sys.argv[1]))
logging.getLogger("altlas_agent.test").info("lone %s", "\\udcff")
"""


def test_text_that_is_no_unicode_can_be_logged(tmp_path: Path) -> None:
    # In a process of its own: what runs tests beside each other cannot pass such text on.
    done = subprocess.run(
        [sys.executable, "-c", LOG_NO_UNICODE, str(tmp_path)], capture_output=True, check=True, timeout=20
    )
    assert rb"lone \udcff" in done.stderr
    assert r"lone \udcff" in (tmp_path / "altlas.log").read_text()
