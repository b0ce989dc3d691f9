"""Runs that are killed and started again until they end, and what was found while that happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.crash import checks, witness
from tests.crash.fronts import ROOT, STUDENT, WORKER, Process, child_of, family, start_of, wait_until_gone

if TYPE_CHECKING:
    import random

    from tests.crash.checks import Story
    from tests.crash.fronts import Front, Place

READY_S = 60.0
"""Longer is no readiness at all; how long it took is measured."""

ENDS_S = 120.0
GONE_S = 15.0
"""At once, where there are processors to die on."""

NOTICED_S = 1.0
"""Who is asked to end before the death of a child is known reports that death."""

THOROUGH_EACH = 10


class Blow(NamedTuple):
    """What is done to a run: to whom, how long after its first event, and how."""

    target: str
    """main, student, worker, stop-main, stop-student, stop-worker, or the place of an aim."""
    delay_s: float = 0.0
    aim: str = ""
    stopped_s: float = 0.0

    @property
    def hits_main(self) -> bool:
        return self.target not in ("written", "renamed") or ":parent:" in self.aim


@dataclass
class Findings:
    """What was counted and found."""

    kills: dict[str, int] = field(default_factory=dict[str, int])
    ready_s: list[float] = field(default_factory=list[float])
    acknowledged: int = 0
    missed_aims: int = 0
    runs: int = 0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def num_kills(self) -> int:
        return sum(self.kills.values())


class Witness:
    """The reader beside a campaign, and all that it has seen."""

    def __init__(self, place: Place) -> None:
        self.seen = witness.Seen()
        self._moved = threading.Condition()
        self._times: list[tuple[int, float]] = []
        command = [sys.executable, "-m", "tests.crash.witness", str(place.home)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_seq(self) -> int:
        return max(self.seen.events, default=0)

    def first_beyond(self, seq: int, front: Front) -> float | None:
        """When the first event behind `seq` was seen; None when the run is over before, or nothing comes."""
        until = time.monotonic() + READY_S
        with self._moved:
            while not (later := [at for number, at in self._times if number > seq]):
                if time.monotonic() > until or not front.is_alive():
                    return None
                self._moved.wait(0.05)
            return later[0]

    def catch_up(self) -> None:
        """Wait until it has looked once more."""
        time.sleep(10 * witness.POLL_S)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with suppress(json.JSONDecodeError):  # it was killed while it wrote
                self._take(json.loads(line))

    def _take(self, line: dict[str, object]) -> None:
        events, attempts, wrong, at = line["events"], line["attempts"], line["wrong"], line["t"]
        assert isinstance(events, dict)
        assert isinstance(attempts, dict)
        assert isinstance(wrong, list)
        assert isinstance(at, float)
        with self._moved:
            self.seen.events |= {int(seq): str(digest) for seq, digest in events.items()}
            self.seen.attempts |= {int(number): str(digest) for number, digest in attempts.items()}
            self.seen.wrong += map(str, wrong)
            self._times.append((self.last_seq, at))
            self._moved.notify_all()


class Campaign:
    """One run, struck until it ends."""

    def __init__(self, place: Place, front: Front, reference: Story, findings: Findings) -> None:
        self._place = place
        self._front = front
        self._reference = reference
        self._findings = findings
        self._witness = Witness(place)
        self._workers: set[int] = set()

    def fight(self, blows: list[Blow]) -> None:
        """Take blows and strike until the run has come to its end; then look at what it came to."""
        try:
            blow = blows.pop(0) if blows else None
            while self._lives(blow):
                blow = blows.pop(0) if blows else None
            self._note(self._front.close())
            self._conclude()
        finally:
            self._front.close()
            self._witness.close()

    def _lives(self, blow: Blow | None) -> bool:
        """One stretch: start if need be, strike, and look. False when the run has ended by itself."""
        if blow and blow.aim:  # which a process has from its start, and which may hit it at once
            if not self._witness.last_seq:
                self._start("")
            self._note(self._front.close())
            self._start(blow.aim)
        elif not self._front.is_alive():
            self._start("")
        if blow is None:
            self._front.wait(ENDS_S)
            return False
        if not self._struck(blow):
            return self._front.wait(ENDS_S) != 0
        self._findings.kills[blow.target] = self._findings.kills.get(blow.target, 0) + 1
        return True

    def _start(self, aim: str) -> None:
        """Start the run, or go on with it, and wait for its first event."""
        began, seq = time.monotonic(), self._witness.last_seq
        self._front.begin(aim)
        at = self._witness.first_beyond(seq, self._front)
        if at is not None and seq:
            self._findings.ready_s.append(at - began)

    def _struck(self, blow: Blow) -> bool:
        """Whether the blow met a living run, and everything held."""
        if blow.aim:
            return self._hit_by_aim(blow)
        time.sleep(blow.delay_s)
        main = self._front.pid
        victim = self._find(blow.target.removeprefix("stop-"))
        if not (victim and self._front.is_alive()):
            return False
        if blow.stopped_s:
            self._stop(victim, blow.stopped_s)
            return True
        is_main = victim == main
        relatives = family(victim)
        self._remember_workers()
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if is_main:
            self._after_death(relatives)
        else:  # another one takes its place
            self._gone(relatives)
            self._note(self._lost_or_twice())
            time.sleep(NOTICED_S)
        return True

    def _find(self, target: str) -> int:
        """The process that is meant; one that has just died is waited for."""
        until, main = time.monotonic() + GONE_S, self._front.pid
        if target == "main":
            return main
        module = STUDENT if target == "student" else WORKER
        while not (found := child_of(main, module)) and self._front.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
        return found

    def _hit_by_aim(self, blow: Blow) -> bool:
        """Wait for the process that has the aim to do it."""
        main, relatives = self._front.pid, set[Process]()
        while self._front.is_alive() and not self._place.was_hit:
            relatives |= family(main)
            self._remember_workers()
            time.sleep(0.1)
        if not self._place.was_hit:
            self._findings.missed_aims += 1
            return False
        if blow.hits_main:
            self._after_death(relatives)
        else:
            self._note(self._lost_or_twice())
        return True

    def _stop(self, victim: int, for_s: float) -> None:
        began = start_of(victim)
        os.kill(victim, signal.SIGSTOP)
        time.sleep(for_s)
        if start_of(victim) == began:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)

    def _after_death(self, relatives: set[Process]) -> None:
        self._front.wait(ENDS_S)  # after the death of the student it ends by itself
        self._gone(relatives)
        self._witness.catch_up()
        place, thorough = self._place, self._findings.num_kills % THOROUGH_EACH == THOROUGH_EACH - 1
        self._note(
            [
                *self._lost_or_twice(),
                *checks.soundness(place, thorough=thorough),
                *checks.so_far(place, self._reference),
                *checks.orphans({self._witness.pid, self._front.pid}, within_s=GONE_S),
                *([] if start_of(self._front.pid) else checks.litter(place, self._workers, has_ended=False)),
            ]
        )

    def _conclude(self) -> None:
        self._witness.catch_up()
        self._note(
            [
                *self._lost_or_twice(),
                *checks.soundness(self._place, thorough=True),
                *checks.the_end(self._place, self._reference),
                *checks.orphans({self._witness.pid}, within_s=GONE_S),
                *checks.litter(self._place, self._workers, has_ended=True),
                *(f"C7: {wrong}" for wrong in dict.fromkeys(self._witness.seen.wrong)),
            ]
        )
        self._findings.acknowledged += len(self._witness.seen.attempts)
        self._findings.runs += 1

    def _lost_or_twice(self) -> list[str]:
        return checks.acknowledged_lost(self._place, self._witness.seen) + checks.order(self._place)

    def _gone(self, relatives: set[Process]) -> None:
        left = wait_until_gone(relatives, GONE_S)
        self._note([f"C5: process {each.pid} ({each.words}) outlives it" for each in left])

    def _remember_workers(self) -> None:
        self._workers |= {pid for pid in [child_of(self._front.pid, WORKER)] if pid}

    def _note(self, wrong: list[str]) -> None:
        self._findings.wrong += [f"after kill {self._findings.num_kills + 1}: {each}" for each in wrong]


def blows(rng: random.Random, *, count: int, longest_s: float, stopped_s: float) -> list[Blow]:
    """`count` of them, in a mixed order: half at random moments, the rest aimed, and some stops."""
    made = [_blow(kind, rng, longest_s, stopped_s) for kind in _kinds(count)]
    rng.shuffle(made)
    return made


def _kinds(count: int) -> list[str]:
    pattern = (
        *("main", "commit", "student", "written", "worker", "wal_checkpoint", "main", "renamed", "stop"),
        *("migration", "main", "student"),
    )
    return [pattern[place % len(pattern)] for place in range(count)]


def _blow(kind: str, rng: random.Random, longest_s: float, stopped_s: float) -> Blow:
    if kind in ("main", "student", "worker"):
        return Blow(kind, delay_s=rng.uniform(0.05, longest_s))
    if kind == "migration":
        return Blow(kind)
    if kind == "stop":
        target = rng.choice(("stop-main", "stop-student", "stop-worker"))
        return Blow(target, delay_s=rng.uniform(0.05, longest_s), stopped_s=stopped_s)
    count = {"commit": rng.randint(4, 40), "wal_checkpoint": 1, "written": rng.randint(1, 4)}.get(kind, 2)
    victim = rng.choice(("self", "parent")) if kind in ("written", "renamed") else "self"
    delay_us = rng.choice((0, rng.randint(1, 2000))) if kind in ("commit", "wal_checkpoint") else 0
    return Blow(kind, aim=f"{kind}:{count}:{victim}:{delay_us}:SIGKILL")
