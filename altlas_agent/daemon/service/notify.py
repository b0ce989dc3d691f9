"""What systemd is told: that we are ready, that we live, that we stop. Nothing where nobody asks."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"

_US_PER_S = 1_000_000


class Notifier:
    """Says words to the manager of this process. A manager that does not listen is nobody's trouble."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ)
        """How often it wants to hear WATCHDOG at least; 0: not at all."""

    def say(self, *words: str) -> None:
        """Send one message, without waiting."""
        if self._address[:1] not in ("/", "@"):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(words).encode(), address)
        except OSError:
            pass  # it has gone, or is busy: the next word will do


def _watchdog_s(environ: Mapping[str, str]) -> float:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(0, int(environ.get("WATCHDOG_USEC", "0"))) / _US_PER_S
    except ValueError:
        return 0.0
