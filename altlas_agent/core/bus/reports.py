"""What the bus tells about its own listeners: losses, added up and told now and then, and ends, at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.events import EventsDropped, ListenerCut

if TYPE_CHECKING:
    from altlas_agent.core.bus.inlet import Inlet
    from altlas_agent.core.events import AnyEvent

REPORT_EVERY_S = 1.0

_REPORT_NS = round(REPORT_EVERY_S * NS_PER_S)

logger = logging.getLogger(__name__)


class Reports:
    """What is still to be told. `is_pending` says whether to ask for it at all."""

    def __init__(self) -> None:
        self.is_pending = False
        self.dropped = self.cut = 0
        self._lossy: dict[str, Inlet] = {}
        self._cut: list[ListenerCut] = []
        self._told_ns: int | None = None

    def add_loss(self, inlet: Inlet) -> None:
        """It dropped something."""
        self._lossy[inlet.name] = inlet
        self.is_pending = True

    def add_cut(self, inlet: Inlet) -> None:
        """It was cut off."""
        logger.error("%s was cut off the bus: %s", inlet.name, inlet.cut_reason)
        self.cut += 1
        self._cut.append(ListenerCut(listener=inlet.name, reason=inlet.cut_reason))
        self.is_pending = True

    def take(self, now_ns: int) -> list[AnyEvent]:
        """What is to be announced now. Losses come at once, then `REPORT_EVERY_S` apart."""
        found: list[AnyEvent] = list(self._cut)
        self._cut.clear()
        if self._lossy and (self._told_ns is None or now_ns - self._told_ns >= _REPORT_NS):
            self._told_ns = now_ns
            found += [self._loss(inlet) for inlet in self._lossy.values()]
            self._lossy.clear()
        self.is_pending = bool(self._lossy)
        return found

    def log_rest(self) -> None:
        """At the end of the bus nobody hears events any more: the log does."""
        for inlet in self._lossy.values():
            logger.warning("%s lost events: %s", inlet.name, self._loss(inlet))
        self._lossy.clear()

    def _loss(self, inlet: Inlet) -> EventsDropped:
        fresh = inlet.dropped - inlet.told
        inlet.told = inlet.dropped
        self.dropped += fresh
        return EventsDropped(listener=inlet.name, dropped=fresh, dropped_ever=inlet.dropped)
