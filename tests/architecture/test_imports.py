"""What a process really loads: the linter sees no import by name, `sys.modules` shows them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH = {"torch", "transformers", "vllm"}
SCHEMA = {"pydantic", "sqlmodel", "sqlalchemy", "alembic"}
TORCH_ROOMS = {"policies", "generation", "learning"}
TORCH_BENCHES = "altlas_agent.evaluation.benches.student."
STARTED_APART = {"storage.migrations.env", "storage.migrations.versions.r0001_create"}
"""Run by alembic, which hands them a connection; nothing imports them."""


def _modules(package: str) -> list[str]:
    paths = sorted((ROOT / package).rglob("*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths
    ]


def _is_light(module: str) -> bool:
    is_apart = module in STARTED_APART or module.startswith(TORCH_BENCHES)
    return not is_apart and not TORCH_ROOMS.intersection(module.split("."))


def _loaded(code: str, folder: Path) -> set[str]:
    """The top-level names in `sys.modules` after `code` has run in a process of its own."""
    program = (
        f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ALTLAS_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def _command(*words: str) -> str:
    return f"from altlas_agent.cli.main import main\ntry: main({list(words)})\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    "module",
    [
        "altlas_agent.daemon.assembly",
        "altlas_agent.daemon.serve",
        "altlas_agent.rewards.service",
        "altlas_agent.learning.service",
        "altlas_agent.cli.main",
        "altlas_agent.cli.run",
        "altlas_agent.cli.daemon",
        "altlas_agent.cli.task",
        "storage.reading.queries",
        "storage.writer",
    ],
)
def test_a_process_other_than_the_student_starts_without_torch(module: str, tmp_path: Path) -> None:
    assert _loaded(f"import {module}", tmp_path) & TORCH == set()


def test_no_module_outside_the_student_loads_torch(tmp_path: Path) -> None:
    light = [module for package in ("altlas_agent", "storage", "tui") for module in _modules(package)]
    names = ", ".join(module for module in light if _is_light(module) and not module.endswith("__main__"))
    assert _loaded(f"import {names}", tmp_path) & TORCH == set()


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("run", "list"), ("run", "--help")], ids=" ".join
)
def test_looking_at_things_loads_no_models_and_no_schema(words: tuple[str, ...], tmp_path: Path) -> None:
    assert _loaded(_command(*words), tmp_path) & (TORCH | SCHEMA) == set()


def test_reading_the_store_loads_no_models_and_no_schema(tmp_path: Path) -> None:
    assert _loaded("import storage.reading.queries, storage.database", tmp_path) & (TORCH | SCHEMA) == set()


def test_writing_the_store_loads_no_models_and_no_schema(tmp_path: Path) -> None:
    assert _loaded("import storage.writer", tmp_path) & (TORCH | SCHEMA) == set()
