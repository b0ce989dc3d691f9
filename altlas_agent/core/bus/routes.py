"""Which listeners an event goes to: looked up once per type, until a listener comes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.bus.buffers import RANKS
from altlas_agent.core.bus.policies import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.bus.inlet import Inlet
    from altlas_agent.core.bus.subscription import Subscription
    from altlas_agent.core.events import Event


class Route(NamedTuple):
    """Where events of one type go. Only `blocking` inlets can hold up a publisher."""

    lane: int
    inlets: tuple[Inlet, ...]
    blocking: tuple[Inlet, ...]

    def first_full(self, size: int) -> Inlet | None:
        """The first listener for which a publisher of `size` bytes has to wait."""
        for inlet in self.blocking:
            if not inlet.has_room(self.lane, size):
                return inlet
        return None


class Listeners:
    """All subscriptions of a bus by name, and the routes that follow from them."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[Inlet, Subscription]] = {}
        self._routes: dict[type[Event], Route] = {}
        self._dropped = 0

    def __iter__(self) -> Iterator[tuple[Inlet, Subscription]]:
        return iter(list(self._all.values()))

    def add(self, inlet: Inlet, subscription: Subscription) -> None:
        """Let it listen."""
        self._all[inlet.name] = (inlet, subscription)
        self._routes.clear()

    def check_free(self, name: str) -> None:
        """Raises ValueError for a name in use."""
        if name in self._all:
            raise ValueError(f"two subscriptions named {name!r}")

    def changed(self, inlet: Inlet, *, keep: bool) -> None:
        """It began or ended: look again. One that ended is forgotten, unless it is kept for the end."""
        self._routes.clear()
        if inlet.is_closed and not keep and self._all.get(inlet.name, (None,))[0] is inlet:
            del self._all[inlet.name]
            self._dropped += inlet.dropped

    def inlet(self, name: str) -> Inlet:
        return self._all[name][0]

    @property
    def dropped(self) -> int:
        """How many events were lost for want of room, all listeners together, the gone ones too."""
        return self._dropped + sum(inlet.dropped for inlet, _ in self)

    def route(self, kind: type[Event]) -> Route:
        """Where events of this type go."""
        found = self._routes.get(kind)
        return found or self._routes.setdefault(kind, self._find(kind))

    def _find(self, kind: type[Event]) -> Route:
        inlets = tuple(
            inlet
            for inlet, _ in self._all.values()
            if inlet.is_live and not inlet.is_closed and kind in inlet.terms.types
        )
        blocking = tuple(inlet for inlet in inlets if inlet.terms.policy is Policy.BLOCK)
        return Route(RANKS[kind.lane], inlets, blocking)
