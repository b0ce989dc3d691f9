"""A process of its own that listens to the events of a daemon's run, as a terminal would; it may be stopped."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from altlas_agent.core.errors import AltlasError
from altlas_agent.daemon.api.client import connect


def listen(home: Path) -> None:
    """Until the parent is gone; what is cut off begins again after what it heard last."""
    parent, cursor = os.getppid(), ""
    while os.getppid() == parent:
        with suppress(AltlasError):
            for batch in connect(home).stream(1, after=cursor or None):
                cursor = batch.cursor or cursor
        time.sleep(0.5)


if __name__ == "__main__":
    listen(Path(sys.argv[1]))
