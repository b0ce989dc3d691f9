"""`python -m tests.crash --kills 100`: kill a run again and again, and tell what was found.

Exit code 0 when every promise held, 1 otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.sandbox.walls.processes import become_reaper
from tests.crash import checks, migrating
from tests.crash.campaign import ENDS_S, Blow, Campaign, Findings, blows
from tests.crash.fronts import Daemon, Foreground, Place
from tests.flows.conftest import TINY, write_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.crash.fronts import Front

READY_BAR_S = 5.0
MOST_FAILURES = 20
"""Then it is not worth while to go on."""

MOST_IN_A_RUN = 10

FRONTS: dict[str, Callable[[Place], Front]] = {"foreground": Foreground, "daemon": Daemon}


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--seed", type=int, default=1, help="of the moments; the run's own seed is always 0")
    words.add_argument("--attempts", type=int, default=960, help="of one run")
    words.add_argument(
        "--longest", type=float, default=1.5, help="seconds between the first event and a kill"
    )
    words.add_argument("--stopped", type=float, default=5.0, help="seconds that a process is stopped")
    words.add_argument("--front", choices=[*FRONTS, "both"], default="both")
    words.add_argument("--ready-bar", type=float, default=READY_BAR_S, help="0: only tell")
    words.add_argument("--json", action="store_true")
    asked = words.parse_args()
    become_reaper()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="altlas-crash-") as folder:
        Path(folder).chmod(0o755)
        findings = _fight(Path(folder), asked)
    if asked.ready_bar and findings.ready_s and max(findings.ready_s) >= asked.ready_bar:
        findings.wrong.append(f"C6: ready again after {max(findings.ready_s):.2f} s")
    _tell(findings, wall_s=time.monotonic() - began, as_json=asked.json)
    return 1 if findings.wrong else 0


def _fight(folder: Path, asked: argparse.Namespace) -> Findings:
    suite = write_suite(folder / "little")
    options = [f"--max-attempts={asked.attempts}", "--set=run.stop_when_solved=false"]
    options.append("--set=run.checkpoint_every_s=0.2")
    reference = Place(folder / "whole", suite, (*TINY, *options))
    front = Foreground(reference)
    front.begin()
    assert front.wait(ENDS_S) == 0, reference.said()
    whole, findings = checks.story(reference), Findings()
    if asked.attempts != len(whole.attempts):
        findings.wrong.append(f"the reference made {len(whole.attempts)} attempts")
    rng = random.Random(asked.seed)
    coming = blows(rng, count=asked.kills, longest_s=asked.longest, stopped_s=asked.stopped)
    _strike_migrations(folder, coming, rng, findings)
    each = min(MOST_IN_A_RUN, math.ceil(asked.kills / 2))
    fronts = itertools.cycle(FRONTS.values() if asked.front == "both" else [FRONTS[asked.front]])
    while coming and len(findings.wrong) < MOST_FAILURES:
        place = Place(folder / f"run-{findings.runs + 1}", suite, (*TINY, *options))
        mine, coming = coming[:each], coming[each:]
        Campaign(place, next(fronts)(place), whole, findings).fight(mine)
        coming = mine + coming  # what it came to its end before
        sys.stderr.write(f"run {findings.runs}: {findings.num_kills} kills, {findings.wrong[-3:]}\n")
    return findings


def _strike_migrations(folder: Path, coming: list[Blow], rng: random.Random, findings: Findings) -> None:
    """Those need homes of their own, with an old database."""
    for number in range(sum(blow.target == "migration" for blow in coming)):
        was_hit, wrong = migrating.strike(Place(folder / f"old-{number}", folder, ()), rng)
        findings.wrong += wrong
        if was_hit:
            findings.kills["migration"] = findings.kills.get("migration", 0) + 1
        else:
            findings.missed_aims += 1
    coming[:] = [blow for blow in coming if blow.target != "migration"]


def _tell(findings: Findings, *, wall_s: float, as_json: bool) -> None:
    ready = sorted(findings.ready_s) or [0.0]
    told: dict[str, object] = {
        "kills": findings.num_kills,
        "by_target": findings.kills,
        "missed_aims": findings.missed_aims,
        "runs": findings.runs,
        "acknowledged": findings.acknowledged,
        "lost": sum("lost" in wrong for wrong in findings.wrong),
        "ready_median_s": round(statistics.median(ready), 2),
        "ready_max_s": round(ready[-1], 2),
        "wall_s": round(wall_s, 1),
        "failures": findings.wrong,
    }
    sys.stdout.write(f"{json.dumps(told)}\n" if as_json else "\n".join([*_lines(told), ""]))


def _lines(told: dict[str, object]) -> Iterator[str]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from (f"  {target:<16} {count}" for target, count in sorted(value.items()))
        elif isinstance(value, list):
            yield f"{name:<18} {len(value)}"
            yield from (f"  {wrong}" for wrong in value)
        else:
            yield f"{name:<18} {value}"


if __name__ == "__main__":
    sys.exit(main())
