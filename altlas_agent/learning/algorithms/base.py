"""Algorithm: annotates a group with one advantage per attempt; the trainer knows none by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from altlas_agent.core.records import Group


class Annotated(NamedTuple):
    """Advantages in the order of the attempts, or the reason why the group teaches nothing."""

    advantages: tuple[float, ...] = ()
    dropped: str = ""


class Algorithm(Protocol):
    """One way of turning scores into advantages."""

    def annotate(self, group: Group) -> Annotated:
        """Compare the attempts of one group with each other."""
        ...
