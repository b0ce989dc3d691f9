"""Who may hold up a publisher, and what the bus is made of: looked up in the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BUS = sorted((ROOT / "altlas_agent" / "core" / "bus").rglob("*.py"))
OTHERS = sorted(
    path
    for room in ("altlas_agent", "storage", "tui")
    for path in (ROOT / room).rglob("*.py")
    if path not in BUS
)


def _attributes(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_nobody_but_the_store_may_hold_up_a_publisher() -> None:
    blocking = [path for path in OTHERS if "Policy.BLOCK" in _attributes(path)]
    attached = [path for path in OTHERS if "bus.attach" in _attributes(path)]
    allowed = ROOT / "altlas_agent" / "evaluation" / "benches" / "bus.py"
    assert [path for path in blocking if path != allowed] == []
    assert attached == [ROOT / "altlas_agent" / "actors" / "recorder.py"]


@pytest.mark.parametrize("path", BUS, ids=lambda path: path.stem)
def test_the_bus_is_made_of_nothing_that_belongs_to_one_event_loop(path: Path) -> None:
    assert {name.partition(".")[0] for name in _imports(path)} & {"asyncio", "trio", "threading"} == set()


@pytest.mark.parametrize("path", BUS, ids=lambda path: path.stem)
def test_the_bus_knows_no_store(path: Path) -> None:
    imports = {name for name in _imports(path) if name.startswith(("altlas_agent", "storage"))}
    assert {name for name in imports if not name.startswith("altlas_agent.core")} == set()
