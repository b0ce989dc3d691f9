"""Looking at history starts fast: nothing heavy is imported, whatever the command."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEAVY = {
    *("torch", "textual", "numpy", "pyarrow", "rich", "anyio", "aiosqlite", "uvicorn", "starlette", "httpx"),
    *("sqlmodel", "sqlalchemy", "alembic", "pydantic", "pydantic_core", "pydantic_settings"),
}

COMMANDS = [
    "run list --tag kept --sort best",
    "run show r1",
    "run compare r1 r2",
    "run tail r1",
    "run export r1 --what events",
    "run tag r1",
    "run note r1",
    "run delete r1 --dry-run",
    "attempt list --csv",
    "attempt show r1 1",
    "attempt search print",
    "attempt diff r1/60 r1/61",
    "reward explain r1/61",
    "event list r1 --type Note",
    "event tail r1",
    "query --schema",
    "vocab report --run r1",
    "paths",
    "version",
    "completion zsh",
]

_PROGRAM = """
import sys
from altlas_agent.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(int(code), *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize("command", [*COMMANDS, "query SELECT_code_FROM_v_attempts"])
def test_a_command_over_history_imports_nothing_heavy(
    filled: Path, surroundings: Mapping[str, str], command: str
) -> None:
    words = [word.replace("_code_FROM_", " code FROM ") for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env=dict(surroundings),
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0"
    assert HEAVY & set(modules) == set()
