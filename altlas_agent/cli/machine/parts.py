"""Probes of what runs here: Python, SQLite, the sandbox, torch and the terminal.

What is heavy, or might hang or crash, runs in a child process with a deadline.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, TypeAlias, cast

from altlas_agent.cli.machine.checks import fail, ok, warn
from altlas_agent.core.errors import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.cli.machine.checks import Check

OLDEST = (3, 11)
TORCH_S = 60.0
SANDBOX_S = 120.0
_SMALLEST = (80, 24)

_Fields: TypeAlias = "dict[str, object]"

_TORCH = """
import importlib.util, json, sys
if importlib.util.find_spec("torch") is None:
    sys.exit(3)
import torch
a = torch.ones(16, 16)
assert float((a @ a).sum()) == 4096.0
print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads(),
                  "gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0}))
"""
_NO_TORCH = 3


def python(_: Path) -> Check:
    """Is this Python new enough?"""
    said = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST:
        return fail("python", said, f"install Python {OLDEST[0]}.{OLDEST[1]} or newer")
    return ok("python", said)


def sqlite(_: Path) -> Check:
    """Is this SQLite known to damage databases, and can it search?"""
    from storage.engine import engine

    found = engine()
    if not found.has_search:
        return fail("sqlite", f"SQLite {found.version}", found.advice)
    if found.has_wal_reset_bug:
        return warn("sqlite", f"SQLite {found.version}", found.advice)
    return ok("sqlite", f"SQLite {found.version}, with FTS5")


def sandbox(home: Path) -> Check:
    """Do programs run, and are hostile ones held?"""
    words = [sys.executable, "-m", "altlas_agent", "sandbox", "doctor", "--json"]
    done = _child(words, SANDBOX_S, home)
    if done is None:
        return fail("sandbox", f"its self-test did not end within {SANDBOX_S:g} s", "altlas sandbox doctor")
    report = _object(done.stdout)
    if error := report.get("error"):
        message = str(cast("_Fields", error).get("message", "")) if isinstance(error, dict) else str(error)
        return fail("sandbox", message, "altlas sandbox status")
    lanes = [cast("_Fields", lane) for lane in cast("list[object]", report.get("languages") or [])]
    said = ", ".join(f"{lane.get('language')}: {lane.get('rung') or 'missing'}" for lane in lanes)
    if done.returncode == Exit.SERVICE_MISSING and any(lane.get("works") for lane in lanes):
        missing = "; ".join(str(lane["missing"]) for lane in lanes if lane.get("missing"))
        return warn("sandbox", said, missing)
    if done.returncode != Exit.DONE:
        return fail("sandbox", said or _last_line(done.stderr), "altlas sandbox doctor tells what failed")
    return ok("sandbox", said)


def torch(home: Path) -> Check:
    """Can the student's process import torch, and with how many threads?"""
    done = _child([sys.executable, "-c", _TORCH], TORCH_S, home)
    if done is None:
        return fail(
            "torch",
            f"importing it took longer than {TORCH_S:g} s",
            "try again on a machine that is less busy",
        )
    if done.returncode == _NO_TORCH:
        return warn("torch", "not installed: no run can be started", "pip install 'altlas[learn]'")
    if done.returncode != 0:
        return fail("torch", _last_line(done.stderr), "pip install --force-reinstall torch")
    found = _object(done.stdout)
    return ok("torch", f"{found.get('version')}, {found.get('threads')} threads, {found.get('gpus')} GPUs")


def terminal(_: Path) -> Check:
    """Is the terminal large and able enough for the drawings?"""
    if not sys.stdout.isatty():
        return ok("terminal", "stdout is none: tables are plain columns")
    columns, lines = shutil.get_terminal_size()
    kind = os.environ.get("TERM", "")
    said = f"{columns} x {lines}, TERM={kind or 'unset'}, {_colours(kind)}, {sys.stdout.encoding}"
    if kind in {"", "dumb"}:
        return warn("terminal", said, "set TERM to what the terminal is, for example xterm-256color")
    if sys.stdout.encoding.lower().replace("-", "") != "utf8":
        return warn("terminal", said, "set LANG to a UTF-8 locale, for example C.UTF-8")
    if columns < _SMALLEST[0] or lines < _SMALLEST[1]:
        return warn("terminal", said, f"make it {_SMALLEST[0]} x {_SMALLEST[1]} or larger")
    return ok("terminal", said)


def _colours(kind: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if os.environ.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "true colour"
    return "256 colours" if "256color" in kind else "few colours"


def _child(words: list[str], timeout_s: float, home: Path) -> subprocess.CompletedProcess[str] | None:
    """How a child process ended; None when it had to be killed."""
    environ = {**os.environ, "ALTLAS_HOME": str(home)}
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _object(text: str) -> _Fields:
    try:
        found: object = json.loads(text)
    except ValueError:
        return {}
    return cast("_Fields", found) if isinstance(found, dict) else {}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
