"""Events of a run as lines, and what comes after them while the run goes on.

loop            waits for              unblocked by
--------------  ---------------------  ------------------------------------------------
`follow`        the next look          a timer; it ends when the run is over and read to
                                       its end, and by Ctrl+C or a reader that went away
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import msgspec

from altlas_agent.cli.output import score, write_json, write_line
from storage.reading import queries
from storage.reading.events import EventLine, last_events, next_events
from storage.reading.status import RUNNING, as_it_is

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from storage.reading.events import EventFilter
    from storage.reading.views import RunView

LOOK_S = 0.5
"""How often the store is looked at: an event is in it when it is acknowledged."""

_PAGE = 500
_LONGEST = 120
_Fields: TypeAlias = "dict[str, object]"


class Progress(NamedTuple):
    """How far a run is, by its totals in the store."""

    run_id: int
    wall_ns: int
    attempts: int
    tasks: int
    solved: int
    best_score: float | None
    attempts_per_s: float | None
    """Since this was last said."""


class Follower:
    """Writes what happens in a run. With `every_s`, how far it is as well, as often as that."""

    def __init__(self, write: Callable[[EventLine | Progress], None], *, every_s: float | None) -> None:
        self._write = write
        self._every_s = every_s
        self._said: Progress | None = None
        self._said_at = time.monotonic()

    def tail(self, connection: sqlite3.Connection, which: EventFilter, *, lines: int) -> int:
        """Write the last events; returns the cursor behind them."""
        cursor = queries.last_seq(connection, which.run_id)
        told = last_events(connection, which, limit=lines)
        for event in told:
            self._write(event)
        return max(cursor, told[-1].seq) if told else cursor

    def follow(self, connection: sqlite3.Connection, which: EventFilter, *, after: int) -> None:
        """Write the events behind `after`, until the run is over."""
        while True:
            # Both before the events: of a run that is over now they are all there, and what is passed over
            # need not be looked at again.
            run = as_it_is(queries.find_run(connection, f"r{which.run_id}"))
            seen = queries.last_seq(connection, which.run_id)
            page = next_events(connection, which, after=after, limit=_PAGE)
            for event in page:
                self._write(event)
            self.tell(run)
            if len(page) == _PAGE:
                after = page[-1].seq
                continue
            if run.status != RUNNING:
                return
            after = max(seen, page[-1].seq) if page else seen
            time.sleep(LOOK_S)

    def tell(self, run: RunView) -> None:
        """Say how far it is, if that is asked for, time for it, and something new."""
        now = time.monotonic()
        if self._every_s is None or (self._said and now - self._said_at < self._every_s):
            return
        told = self._said
        if told is not None and told.attempts == run.attempts:
            return
        rate = None if told is None else (run.attempts - told.attempts) / (now - self._said_at)
        self._said = Progress(
            run.id, time.time_ns(), run.attempts, run.tasks, run.solved, run.best_score, rate
        )
        self._said_at = now
        self._write(self._said)


def write_event_json(told: EventLine | Progress) -> None:
    """One line of JSON. What is said about the progress has no `seq`: it is no event of the store."""
    if isinstance(told, Progress):
        write_json({"type": "Progress", **told._asdict()})
    else:
        write_json(told)


def write_event(told: EventLine | Progress) -> None:
    """One line for people."""
    at = datetime.fromtimestamp(told.wall_ns // 1_000_000_000).astimezone().strftime("%H:%M:%S")
    if isinstance(told, Progress):
        rate = "" if told.attempts_per_s is None else f", {told.attempts_per_s:.1f} per second"
        write_line(
            f"{at}  {'':>7}  Progress         {told.attempts} attempts, {told.solved} of {told.tasks} tasks "
            f"solved, best {score(told.best_score)}{rate}"
        )
    else:
        write_line(f"{at}  {told.seq:>7}  {told.type:<16} {summary(told)}")


def summary(line: EventLine) -> str:
    """What an event says, in a line; whatever it is, and whoever wrote it."""
    fields: object = msgspec.json.decode(line.event)
    if not isinstance(fields, dict):
        return ""
    event = cast("_Fields", fields)
    judged = event.get("judged")
    text = _judged(cast("_Fields", judged)) if isinstance(judged, dict) else _listed(event)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _listed(event: _Fields) -> str:
    return ", ".join(
        f"{name} {_short(value)}" for name, value in event.items() if name not in {"type", "run_id", "code"}
    )


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return _listed(cast("_Fields", value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _judged(judged: _Fields) -> str:
    """An attempt with what came of it."""
    attempt, outcome, verdict = (
        cast("_Fields", judged.get(name) or {}) for name in ("attempt", "outcome", "score")
    )
    value = verdict.get("value")
    solved = ", solved" if verdict.get("solved") else ""
    shown = score(value) if isinstance(value, float) else "-"
    return f"{attempt.get('number')} {attempt.get('task_id')}: {outcome.get('status')}, score {shown}{solved}"
