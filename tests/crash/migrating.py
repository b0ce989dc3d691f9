"""Databases of an older AltLAS whose migration is killed: what is left is the old schema or the new one, whole."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from storage.database import FILE_NAME, SCHEMA, open_reader
from storage.reading.announced import events_page
from tests.builders import make_judged
from tests.storage.migrations.old import announced, make_old

if TYPE_CHECKING:
    import random

    from tests.crash.fronts import Place

OLD = 2
ATTEMPTS = 700
"""More than a page of what is moved at once."""

_ENDS_S = 60.0


def strike(place: Place, rng: random.Random) -> tuple[bool, list[str]]:
    """Kill the migration of an old home somewhere.

    Gives whether it was hit, and what is wrong with what is left and with what comes of it.
    """
    place.home.mkdir(mode=0o700)
    judged = [make_judged(number, code=f"print({number} + 3)") for number in range(1, ATTEMPTS + 1)]
    make_old(place.home / FILE_NAME, OLD, judged)
    payloads = [announced(each) for each in judged]
    _killed(place, f"migration:{rng.randint(1, 120)}:self:{rng.choice((0, rng.randint(1, 20_000)))}:SIGKILL")
    wrong, was_hit = _look(place, payloads, finished=False), place.was_hit
    _killed(place, "")
    return was_hit, wrong + _look(place, payloads, finished=True)


def _killed(place: Place, aim: str) -> None:
    """Start a daemon, which migrates; end it when it serves, if it gets so far."""
    daemon = place.run("daemon", "start", "--foreground", aim=aim)
    until = time.monotonic() + _ENDS_S
    while daemon.poll() is None and not (place.home / "run" / f"{daemon.pid}.json").exists():
        assert time.monotonic() < until, place.said()
        time.sleep(0.02)
    daemon.terminate()
    daemon.wait(_ENDS_S)


def _look(place: Place, payloads: list[bytes], *, finished: bool) -> list[str]:
    wrong: list[str] = []
    ((number,),) = place.ask("PRAGMA user_version") or [(None,)]
    if number not in ((SCHEMA,) if finished else (OLD, SCHEMA)):
        wrong.append(f"C3: after a killed migration the schema is {number}")
    if place.ask("PRAGMA integrity_check") != [("ok",)]:
        wrong.append("C3: a killed migration left a damaged database")
    if place.ask("SELECT count(*) FROM attempts") != [(len(payloads),)]:
        wrong.append("C1: a killed migration lost attempts")
    if number == SCHEMA:
        with closing(open_reader(place.home / FILE_NAME)) as reader:
            if [each.payload for each in events_page(reader, 1, 1, limit=len(payloads) + 1)] != payloads:
                wrong.append("C1: a migration changed what was announced")
    if finished and list(place.home.glob("*.part")):
        wrong.append("C5: a killed migration left a part of a backup")
    return wrong
