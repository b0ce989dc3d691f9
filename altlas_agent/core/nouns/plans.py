"""What is settled for a group when it is planned, beside its task and its size."""

from __future__ import annotations

import msgspec

from altlas_agent.core.nouns.base import Record


class Beside(Record):
    """What a policy may read beside the description: a hint, what was last said of a failure, earlier code."""

    hint: str = ""
    error: str = ""
    context: str = ""


class Guidance(Record):
    """How a task is to be explored, from what failed before; as it comes it changes nothing.

    `share` is a factor on the share of exploratory attempts, `arms` has factors on the shares of arms by their
    names, `temperature` is a factor on the temperature that exploratory attempts are drawn with, and `penalties`
    has what is taken from the logit of a token.
    """

    share: float = 1.0
    temperature: float = 1.0
    arms: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    penalties: dict[int, float] = msgspec.field(default_factory=dict[int, float])
