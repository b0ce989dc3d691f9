"""Settings of the policy: one class per kind, told apart by `type`.

To add a kind, write its class with a `type` of its own and widen the alias to
`Annotated[RecurrentPolicy | OtherPolicy, Field(discriminator="type")]`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class RecurrentPolicy(Section):
    """A recurrent network from random weights that reads the description and writes a derivation."""

    type: Literal["recurrent"] = "recurrent"
    """Kind of policy: recurrent, a recurrent network with attention that starts from random weights."""

    hidden: int = Field(default=128, ge=4, le=8192)
    """Width of the recurrent state."""

    embedding: int = Field(default=64, ge=4, le=8192)
    """Width of the vector that stands for a word or a token."""

    layers: int = Field(default=1, ge=1, le=16)
    """Recurrent layers on top of each other."""

    buckets: int = Field(default=2048, ge=16, le=2**20)
    """Rows of the table into which the words of a description are hashed."""

    initial_scale: float = Field(default=1.0, gt=0, le=100)
    """Factor on the usual spread of the initial weights."""


Policy = RecurrentPolicy
