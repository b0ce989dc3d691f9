"""What has to hold of a home after a kill, and at the end of the run: C1 to C5 and C7 of the crash test."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from safetensors.numpy import load_file

from altlas_agent.core.events import PolicyUpdated, unpack
from altlas_agent.sandbox.walls.processes import children
from tests.crash import witness
from tests.crash.fronts import words_of
from tests.sandbox.conftest import zombies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.fronts import Place

_STORY = (
    "SELECT a.number, a.policy_version, a.score, a.solved, hex(a.tokens), hex(a.logps), hex(b.hash) "
    "FROM attempts a JOIN bodies b ON b.id = a.code_id WHERE a.run_id = 1 ORDER BY a.number"
)
_LEARNED = (
    "SELECT type, payload FROM events WHERE run_id = 1 "
    "AND type IN ('PolicyUpdated', 'GroupDropped', 'TaskSolved') ORDER BY seq"
)
_TWICE = (
    "SELECT type, count(*) - count(DISTINCT coalesce(attempt, payload)) FROM events "
    "WHERE type IN ('AttemptScored', 'PolicyUpdated', 'GroupDropped', 'TaskSolved') GROUP BY type"
)
_KEPT = {"altlas.db", "altlas.db-wal", "altlas.db-shm", "altlas.lock"}


class Story(NamedTuple):
    """What a run came to: its attempts, what was learned from them, and the weights at the end."""

    attempts: tuple[tuple[object, ...], ...]
    learned: tuple[str, ...]
    weights: str


def story(place: Place) -> Story:
    """All of it as stored; no weights where there is no checkpoint."""
    learned = tuple(_fact(payload) for _, payload in place.ask(_LEARNED) if isinstance(payload, bytes))
    return Story(tuple(place.ask(_STORY)), learned, _weights(place))


def _fact(payload: bytes) -> str:
    event = unpack(payload)
    if isinstance(event, PolicyUpdated):  # which tells how long it took
        metrics = {name: value for name, value in event.metrics.items() if not name.endswith("_s")}
        event = msgspec.structs.replace(event, metrics=metrics)
    return repr(event)


def acknowledged_lost(place: Place, acknowledged: witness.Seen) -> list[str]:
    """C1: what was seen once and is not there any more as it was."""
    events, attempts = dict(acknowledged.events), dict(acknowledged.attempts)  # before: the run may go on
    now = witness.whole(place.home)
    return [
        f"C1: acknowledged {kind} {number} is {'changed' if number in there else 'lost'}"
        for kind, seen, there in (
            ("event", events, now.events),
            ("attempt", attempts, now.attempts),
        )
        for number, digest in seen.items()
        if there.get(number) != digest
    ] + [f"C7: {wrong}" for wrong in now.wrong]


def order(place: Place) -> list[str]:
    """C1: nothing twice; C2: no gap."""
    wrong = [f"C1: {count} {kind} are there twice" for kind, count in place.ask(_TWICE) if count]
    for table, column in (("events", "seq"), ("attempts", "number")):
        query = f"SELECT count(*), min({column}), max({column}) FROM {table} WHERE run_id = 1"
        for count, first, last in place.ask(query):
            if count and (first, last) != (1, count):
                wrong.append(f"C2: {count} {table} from {first} to {last}")
    return wrong


def soundness(place: Place, *, thorough: bool) -> list[str]:
    """C3."""
    if not (place.home / "altlas.db").exists():
        return []
    check = "integrity_check" if thorough else "quick_check"
    found = place.ask(f"PRAGMA {check}")
    wrong = [] if found == [("ok",)] else [f"C3: {check}: {found}"]
    return wrong + [f"C3: foreign key {row}" for row in place.ask("PRAGMA foreign_key_check") if thorough]


def so_far(place: Place, reference: Story) -> list[str]:
    """C4 on the way: what is stored is the beginning of the reference."""
    now = story(place)
    wrong = []
    if now.attempts != reference.attempts[: len(now.attempts)]:
        wrong.append("C4: the attempts so far are not those of the reference")
    if now.learned != reference.learned[: len(now.learned)]:
        wrong.append("C4: what was learned so far is not that of the reference")
    return wrong


def the_end(place: Place, reference: Story) -> list[str]:
    """C4: the whole story, and the weights."""
    now = story(place)
    pairs = zip(Story._fields, now, reference, strict=True)
    return [f"C4: {name} differ from the reference" for name, ours, theirs in pairs if ours != theirs]


def litter(place: Place, pids: set[int], *, has_ended: bool) -> list[str]:
    """C5: files, sockets, locks and control groups that nobody owns. All children have ended."""
    wrong = [f"C5: temporary file {path}" for path in place.temporary.iterdir()]
    if _is_locked(place.home / "altlas.lock"):
        wrong.append("C5: the lock of the home is held")
    if has_ended:
        wrong += [f"C5: control group {path}" for path in _groups(pids)]
        wrong += [f"C5: {path.relative_to(place.home)}" for path in _unowned(place)]
    return wrong


def orphans(known: set[int], *, within_s: float) -> list[str]:
    """C5: processes below this one, their reaper, that nobody owns and that do not end."""
    until = time.monotonic() + within_s
    while (found := _orphans(known)) and time.monotonic() < until:
        time.sleep(0.05)
    return [f"C5: process {pid} ({words_of(pid)}) belongs to nobody" for pid in found]


def _orphans(known: set[int]) -> set[int]:
    for pid in set(zombies()) - known:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return {each for each in children(os.getpid()) if each not in known}


def _weights(place: Place) -> str:
    for version, path in place.ask(
        "SELECT version, path FROM checkpoints WHERE run_id = 1 ORDER BY version DESC LIMIT 1"
    ):
        digest = hashlib.sha256()
        for name, tensor in sorted(load_file(str(path)).items()):
            if name != "extra.loop":  # which knows how long it took
                digest.update(name.encode() + tensor.tobytes())
        return f"{version} {digest.hexdigest()}"
    return ""


def _unowned(place: Place) -> Iterator[Path]:
    owned = {Path(str(path)) for (path,) in place.ask("SELECT path FROM checkpoints")}
    for path in place.home.rglob("*"):
        inside = path.relative_to(place.home).parts
        is_known = str(inside[0]) in _KEPT or inside[0] == "log" or "bak" in inside[0] or path in owned
        if path.is_socket() or not (path.is_dir() or is_known):
            yield path


def _groups(pids: set[int]) -> Iterator[Path]:
    for mount in Path("/sys/fs/cgroup").glob("*"):
        for pid in pids:
            yield from mount.rglob(f"altlas-{pid}-*") if mount.is_dir() else ()


def _is_locked(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
