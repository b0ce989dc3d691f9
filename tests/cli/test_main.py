"""The altlas command starts fast, fails in one line, and ends with the code it promises."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click
import pytest

from altlas_agent.cli.failures import exit_code_of, printable
from altlas_agent.cli.main import COMMANDS
from altlas_agent.core.errors import EXIT_MEANINGS, ActorDied, HomeBusyError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Altlas = Callable[..., subprocess.CompletedProcess[str]]
    Start = Callable[..., subprocess.Popen[str]]

_HEAVY = {"pydantic", "torch", "sqlmodel", "sqlalchemy", "rich", "anyio", "msgspec", "platformdirs", "json"}


def test_help_lists_every_group_and_every_exit_code(altlas: Altlas) -> None:
    done = altlas("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert line in done.stdout
    for code, meaning in EXIT_MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in done.stdout


def test_help_imports_no_command_and_nothing_heavy(surroundings: Mapping[str, str]) -> None:
    code = (
        "import sys\n"
        "from altlas_agent.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(surroundings)
    )
    modules = set(done.stderr.split())
    commands = {module.partition(":")[0] for module, _ in COMMANDS.values()}
    assert modules & (_HEAVY | commands) == set()


def test_help_costs_little_cpu_time(altlas: Altlas) -> None:
    altlas("--help")  # the first one may still write byte code
    cost_s = min(_cpu_s(lambda: altlas("--help")) for _ in range(8))
    assert cost_s <= 0.15


def _cpu_s(action: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_version_is_that_of_the_package(altlas: Altlas) -> None:
    from altlas_agent import __version__

    assert altlas("--version").stdout == f"altlas {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-group",), "No such command 'no-such-group'"),
        (("config", "no-such-verb"), "No such command 'no-such-verb'"),
        (("config", "show", "--no-such-option"), "No such option"),
        (("config", "show", "--set"), "requires an argument"),
        (("config", "show", "--set", "run.seed"), "--set needs KEY=VALUE"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(altlas: Altlas, words: tuple[str, ...], said: str) -> None:
    done = altlas(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("altlas: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_words_at_all_show_the_help_on_stderr(altlas: Altlas) -> None:
    done = altlas()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: altlas")


def test_an_error_is_one_message_without_a_traceback(altlas: Altlas) -> None:
    done = altlas("config", "show", "--profile", "tinny")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "altlas: no profile 'tinny'; did you mean tiny?\n"


def test_with_json_an_error_is_an_object_on_stdout_too(altlas: Altlas) -> None:
    done = altlas("config", "show", "--json", "--profile", "tinny")
    message = "no profile 'tinny'; did you mean tiny?"
    assert json.loads(done.stdout) == {"error": {"kind": "settings", "message": message}}
    assert done.stderr == f"altlas: {message}\n"


def test_with_json_wrong_use_is_an_object_too(altlas: Altlas) -> None:
    done = altlas("config", "show", "--json", "--no-such-option")
    assert json.loads(done.stdout)["error"]["kind"] == "usage"
    assert done.returncode == 2


def test_an_interrupt_ends_with_130(start: Start, tmp_path: Path) -> None:
    pipe = tmp_path / "settings.toml"
    os.mkfifo(pipe)
    with start("config", "validate", str(pipe)) as process:
        writer = _open_when_somebody_reads(pipe)
        time.sleep(0.2)  # the reader blocks in its next line, whenever it gets there
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
        os.close(writer)
    assert (process.returncode, stderr) == (130, "altlas: interrupted\n")


def _open_when_somebody_reads(pipe: Path) -> int:
    deadline = time.monotonic() + 15
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def test_output_that_nobody_reads_ends_quietly_with_141(start: Start) -> None:
    process = start("config", "show")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=10), stderr) == (141, "")


def test_completion_names_the_groups(altlas: Altlas) -> None:
    asked = {"_ALTLAS_COMPLETE": "bash_complete", "COMP_WORDS": "altlas con", "COMP_CWORD": "1"}
    done = altlas(environ=asked)
    assert done.stdout.split() == ["plain,config"]


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (HomeBusyError("held"), "home_busy", 75),
        (RunFailedError("gave up"), "run_failed", 1),
        (ActorDied("student", "killed"), "actor_died", 1),
        (click.ClickException("cannot"), "failed", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)
def test_an_error_has_a_kind_and_a_code(
    error: BaseException, kind: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(error, ["run", "start", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == kind


def test_a_bug_keeps_its_traceback() -> None:
    assert exit_code_of(ValueError("a bug"), []) is None


def test_what_a_terminal_might_obey_is_spelled_out() -> None:
    assert printable("a\x1b[31m\tb\nc\u202e\u00e9\x00") == "a\\x1b[31m\tb\nc\\u202e\u00e9\\x00"


def test_a_hostile_settings_file_cannot_colour_the_terminal(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "altlas.toml").write_text('"\\u001b[31mred" = 1\n', encoding="utf-8")
    done = altlas("config", "show")
    assert done.returncode == 78
    assert "\x1b" not in done.stderr
