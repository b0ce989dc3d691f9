"""What is installed is the tree: nothing is missing, nothing slips in, and it works from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("altlas_agent", "tui", "storage", "prompts", "configs")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    built, unpacked = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("unpacked")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    [archive] = built.glob("*.whl")
    zipfile.ZipFile(archive).extractall(unpacked)
    return unpacked


def _files(root: Path, package: str) -> set[str]:
    files = [path for path in (root / package).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)) for path in files if "__pycache__" not in path.parts}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_exactly_the_tree(wheel: Path, package: str) -> None:
    assert _files(wheel, package) == _files(ROOT, package)


def test_the_wheel_has_exactly_five_top_level_names(wheel: Path) -> None:
    names = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert names == set(PACKAGES)


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    [licence] = wheel.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_type_checkers_that_it_is_typed(wheel: Path, package: str) -> None:
    assert (wheel / package / "py.typed").exists()


def test_the_wheel_finds_its_tasks_settings_and_languages(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import altlas_agent\n"
        "from altlas_agent.languages.tokens.maps import language_map, languages\n"
        "from altlas_agent.resources import read_text\n"
        "from altlas_agent.tasks.loader import load_suite, shipped_suites\n"
        "print(altlas_agent.__file__, [len(load_suite(name).entries) for name in shipped_suites()])\n"
        "print([language_map(name).name for name in languages()], len(read_text('configs', 'default.toml')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))
