"""The status of a run as it is, not as it was last written: a killed process writes nothing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from storage.reading.views import RunView

RUNNING = "running"
CRASHED = "crashed"
GONE = "its process is gone"


def as_it_is(run: RunView) -> RunView:
    """The run with its true status and, while it goes on, with the time that it has taken so far."""
    if run.status != RUNNING:
        return run
    if is_alive(run.pid):
        return msgspec.structs.replace(run, wall_s=max(0.0, (time.time_ns() - run.started_ns) / 1e9))
    return msgspec.structs.replace(run, status=CRASHED, reason=GONE)


def is_alive(pid: int) -> bool:
    """Is there a process with this number?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to somebody else
        return True
    return True
