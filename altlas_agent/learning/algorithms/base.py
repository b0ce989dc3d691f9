"""Algorithm: gives every token of a batch of groups its advantage; the trainer knows none by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from altlas_agent.core.states import AlgorithmState
from altlas_agent.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group
    from altlas_agent.learning.loss.surrogate import Surrogate

Row = tuple[float, ...]


class Annotated(NamedTuple):
    """For each attempt of a group the advantage of its tokens, or the reason why the group teaches nothing.

    A row is empty where an attempt takes no part: it was drawn by another arm, or the sandbox failed.
    """

    advantages: tuple[Row, ...] = ()
    dropped: str = ""


Kind = TypeVar("Kind", bound=Section, covariant=True)


class Algorithm(ABC, Generic[Kind]):
    """One way of turning scores into advantages, and the policy loss that belongs to it.

    `state` is what it remembers of earlier steps; it travels in the checkpoints.
    """

    def __init__(self, settings: Kind, discount: float = 1.0) -> None:
        """`discount` is the share that a token has of what the one after it gets."""
        self.state = AlgorithmState()
        self._settings = settings
        self._discount = discount

    @property
    @abstractmethod
    def surrogate(self) -> Surrogate:
        """The switches of its policy loss."""

    @abstractmethod
    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        """Annotate the groups of one step, in their order."""
