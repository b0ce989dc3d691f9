"""What the fork-server pays for once, so that no child has to: modules, the compiler's types, memory."""

from __future__ import annotations

import gc
import importlib
import json
import sys
from typing import TYPE_CHECKING

from altlas_agent.sandbox.inside.program import MAIN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

PREIMPORTED = """
    abc array bisect cmath collections contextlib copy dataclasses datetime decimal enum fractions
    functools heapq io itertools json math numbers operator queue random re statistics string textwrap
    threading types typing
"""
TRACER = "altlas_agent.sandbox.inside.tracer"
WARM_UP = '''
from __future__ import annotations
import json, re
class A:
    x: int = 1
    def f(self, *a, k=2, **b):
        """d"""
        return [i for i in a if i] or {j: 1 for j in b} or {1, 2} or (lambda q: q ** 2 // 3 % 4)(k)
def g(n):
    global h
    while n > 0 and not n == 5:
        n -= 1
        if n < 3: continue
        elif n is None: break
        else: pass
    try: assert n, "m"
    except (ValueError, AssertionError) as e: h = f"{e!r:>5} {n:d}"
    finally: del n
    with open("/dev/null") as o: o.read()
    for i, (a, *b) in enumerate([(1, 2)]): yield i, a[0:1] if n else b
    raise ValueError(n) from None
async def c():
    async for i in c(): await i
@property
def p(x, /, y: "int", *, z=-1.5e3): return ~x << 2 | y & z ^ 1 >> 3
match A.x:
    case {"a": [1, _]}: g(2)
for i in range(2): str(i), f"{i}"
'''


def warm_up(modules: Iterable[str]) -> None:
    """Import what programs often import, compile one fixed text, and freeze it all for the collector."""
    for name in (*PREIMPORTED.split(), TRACER, *modules):
        importlib.import_module(name)
    code = compile(WARM_UP.encode(), MAIN_FILE, "exec", dont_inherit=True)
    exec(code, {"__name__": "warm"})
    json.JSONDecoder().decode(json.JSONEncoder(allow_nan=False).encode([1, 2.5, "a", {"b": None}]))
    sys.modules["random"].seed()
    gc.collect()
    gc.freeze()
    gc.disable()


def share_page_tables() -> None:
    """Let a fork copy where the pages of program text lie, which a child would look for one by one.

    The kernel copies that only for mappings with a page of our own in them: put back a byte that is there.
    """
    try:
        with (
            open("/proc/self/maps", encoding="utf-8", errors="replace") as maps,
            open("/proc/self/mem", "r+b", buffering=0) as memory,
        ):
            for line in maps:
                if " r-xp " in line or " r--p " in line:
                    memory.seek(int(line.partition("-")[0], 16))
                    byte = memory.read(1)
                    memory.seek(-1, 1)
                    memory.write(byte)
    except OSError:
        return  # some kernels forbid it: a few page faults more
