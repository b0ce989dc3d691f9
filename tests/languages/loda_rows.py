"""Rows of tests/data/loda, and LODA programs made at random."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from altlas_agent.languages.loda import ARITHMETIC, Program, parse

DATA = Path(__file__).resolve().parents[1] / "data" / "loda"

_LIBRARY = {
    "A000001": "mul $0,2\nadd $0,1\n",
    "A000002": "#offset 1\n\nlpb $0\n  sub $0,1\n  add $1,$0\nlpe\nmov $0,$1\n",
    "A000003": "seq $0,2\nseq $0,1\n",
    "A000004": "mov $1,1\nsub $1,$0\nmov $0,7\ndiv $0,$1\n",
    "A000005": "seq $0,5\n",
    "P000001": "#inputs 2\n#outputs 3\n\nadd $0,$1\nmov $2,5\n",
}


class Vector(NamedTuple):
    """One row of op_vectors_*.jsonl."""

    op: str
    a: int
    b: int
    result: str
    size_limit: bool = False


class Row(NamedTuple):
    """A program and what it must give."""

    name: str
    asm: str
    terms: list[str]
    num_terms: int
    error: str | None
    steps: list[int] | None


@cache
def vectors(name: str) -> dict[str, list[Vector]]:
    """By operation."""
    found: dict[str, list[Vector]] = {}
    for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        vector = Vector(row["op"], int(row["a"]), int(row["b"]), row["result"], row.get("size_limit", False))
        found.setdefault(vector.op, []).append(vector)
    return found


def rows(name: str) -> list[Row]:
    return [
        Row(
            name=row.get("name") or row.get("id") or f"{name}-{number}",
            asm=row["asm"],
            terms=row["terms"],
            num_terms=row.get("num_terms", len(row["terms"])),
            error=row.get("error"),
            steps=row.get("steps_plain"),
        )
        for number, row in enumerate(
            map(json.loads, (DATA / f"{name}.jsonl").read_text("utf-8").splitlines())
        )
    ]


@cache
def library(name: str) -> Program | None:
    """The resolver of the rows."""
    for line in (DATA / "library.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["id"] == name:
            return parse(row["asm"])
    return None


@cache
def small_library(name: str) -> Program | None:
    """The resolver of random programs."""
    return parse(_LIBRARY[name]) if name in _LIBRARY else None


class _Author:
    """Writes a program at random; most of its loops count down, so that some passes are kept."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._indirect = self._random.choice([0.0, 0.0, 0.15, 0.4])
        self._lengths = self._random.choice([0.0, 0.0, 0.5])
        self._calls = self._random.choice([0.0, 0.0, 0.1])
        self._wild = self._random.choice([0.0, 0.05, 0.3])
        self.lines = ["mov $1,$0", "mov $2,3"]
        self._budget = self._random.randint(1, 25)

    def block(self, depth: int) -> None:
        for _ in range(self._random.randint(1, 5)):
            self._budget -= 1
            if self._budget < 0:
                return
            if depth < 4 and self._chance(0.3):
                self._loop(depth)
            else:
                self._statement()

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _loop(self, depth: int) -> None:
        cell = f"${6 - depth}" if self._chance(0.8) else self._cell()
        if self._chance(0.8):
            self.lines.append(f"mov {cell},{self._random.choice(['$0', '2', '3', '5'])}")
        length = (
            f",{self._random.choice(['0', '1', '2', '3', '-2', '70', '$2'])}"
            if self._chance(self._lengths)
            else ""
        )
        self.lines.append(f"lpb {cell}{length}")
        self.block(depth + 1)
        if self._chance(0.9):
            self.lines.append(
                self._random.choice(["sub {},1", "sub {},1", "trn {},2", "div {},2"]).format(cell)
            )
        self.lines.append("lpe")

    def _statement(self) -> None:
        if self._chance(self._calls):
            name, source = (
                self._random.choice(["seq", "seq", "prg"]),
                self._random.choice(["1", "1", "2", "3", "4", "5", "6"]),
            )
        elif self._chance(0.15):
            name, source = (
                self._random.choice(["clr", "fil", "rol", "ror"]),
                self._random.choice(["2", "3", "-2", "1", "0", "70", self._source()]),
            )
        else:
            common = self._chance(0.5)
            name = self._random.choice(
                ["mov", "add", "sub", "mul", "trn", "max"] if common else sorted(ARITHMETIC)
            )
            source = self._source()
        self.lines.append(f"{name} {self._cell()},{source}")

    def _cell(self) -> str:
        if self._chance(self._wild * 0.2):
            return self._random.choice(["$63", "$64", "$70"])
        return f"{'$$' if self._chance(self._indirect) else '$'}{self._random.randint(0, 6)}"

    def _source(self) -> str:
        if self._chance(0.5):
            return self._cell()
        if self._chance(self._wild):
            return str(self._random.choice([-1, -5, 0, 64, 10**9, 10**18, -(10**18), 10**19, -(10**30)]))
        return str(self._random.randint(1, 6))


def _code(seed: int) -> str:
    author = _Author(seed)
    author.block(0)
    return "\n".join([*author.lines, ""])


CODE = st.integers(0, 2**32).map(_code)
"""Text of programs: cells, loops of every kind, and calls to the small library."""
