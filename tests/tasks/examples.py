"""Small valid task files as JSON trees, so that a test names only what it changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

Tree = dict[str, "JsonValue"]


def stdout_task(**changes: JsonValue) -> Tree:
    """Print the sum of 5 and 3."""
    tree: Tree = {
        "name": "sum",
        "description": "Print the sum of 5 and 3.",
        "target_language": "python",
        "kind": "stdout",
        "tests": {"hidden": [{"expected": "8"}]},
        "constraints": {"require": {"operators": ["+"], "numbers": [5, 3]}, "max_tokens": 8},
        "reference": "print(5 + 3)\n",
        "cheats": ["print(8)\n"],
        "tokens": "OUTPUT ADD NUM_0 NUM_1 END",
    }
    return tree | changes


def function_task(**changes: JsonValue) -> Tree:
    """double(n)."""
    tree: Tree = {
        "name": "double",
        "description": "Write a function double(n) that returns n times 2.",
        "target_language": "python",
        "kind": "function",
        "signature": {"name": "double", "params": [{"name": "n", "type": "num"}], "returns": "num"},
        "tests": {
            "visible": [{"args": [3], "expected": 6}],
            "hidden": [{"args": [0], "expected": 0}, {"args": [-4], "expected": -8}, {"args": [21]}],
        },
        "reference": "def double(n):\n    return n * 2\n",
        "cheats": ["def double(n):\n    return 6\n"],
        "tokens": "FUNC_DEF FUNC_0 BLOCK_START RETURN MUL ARG_0 NUM_0 BLOCK_END END",
    }
    return tree | changes


def family(**changes: JsonValue) -> Tree:
    """shift(n): n plus a number that differs from instance to instance."""
    tree: Tree = {
        "name": "shift",
        "description": "Write a function shift(n) that returns n plus {k}.",
        "target_language": "python",
        "kind": "function",
        "signature": {"name": "shift", "params": [{"name": "n", "type": "num"}], "returns": "num"},
        "tests": {
            "visible": [{"args": [0], "expected": "{k}"}],
            "hidden": [{"args": [1]}, {"args": [-5]}, {"args": [100]}],
        },
        "constraints": {"require": {"numbers": ["{k}"]}, "max_tokens": 12},
        "parameters": {"k": {"from": 3, "to": 60}},
        "reference": "def shift(n):\n    return n + {k}\n",
        "cheats": ["def shift(n):\n    return {k}\n"],
        "tokens": "FUNC_DEF FUNC_0 BLOCK_START RETURN ADD ARG_0 NUM_0 BLOCK_END END",
    }
    return tree | changes


def changed(tree: Tree, path: str, value: JsonValue) -> Tree:
    """A copy with another value at `tests.hidden.0.expected`; None takes the key away."""
    copy = cast("Tree", json.loads(json.dumps(tree)))
    *parents, last = path.split(".")
    at: JsonValue = copy
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else cast("Tree", at)[part]
    if isinstance(at, list):
        at[int(last)] = value
    elif value is None:
        del cast("Tree", at)[last]
    else:
        cast("Tree", at)[last] = value
    return copy


def write(folder: Path, *trees: Tree) -> Path:
    """Write each tree as NAME.json into the folder; returns the last file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder
    for tree in trees:
        path = folder / f"{tree.get('name', 'task')}.json"
        path.write_text(json.dumps(tree, indent=2), encoding="utf-8")
    return path
