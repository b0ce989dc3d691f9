"""The shape the house promises: small modules, small folders, short functions, a sentence at each top."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("altlas_agent", "tui", "storage", "prompts", "configs")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})

MAX_LINES = 400
MAX_MODULES = 12
MAX_FUNCTION_LINES = 50
DRAWERS = {"utils", "util", "helpers", "common", "manager", "misc"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_LINES, "split it: a module has one subject"
    assert ast.get_docstring(ast.parse(text)), "say in one sentence what lives here"
    assert path.stem not in DRAWERS, "name the subject"


@pytest.mark.parametrize("folder", FOLDERS, ids=_name)
def test_a_folder_holds_few_modules(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES, "make rooms"
    assert (folder / "__init__.py").exists(), "a folder with modules is a package"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=_name)
def test_a_package_holds_a_docstring_and_no_code(path: Path) -> None:
    rest = ast.parse(path.read_text("utf-8")).body[1:]
    names = [ast.unparse(each).partition(" = ")[0] for each in rest]
    assert names == (["__version__"] if path.parent.name == "altlas_agent" else [])


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_function_fits_in_the_eye(path: Path) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)]
    lines = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions}
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}
