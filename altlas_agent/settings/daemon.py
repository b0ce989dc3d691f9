"""Settings of the process that holds the home; the home itself comes from --home or ALTLAS_HOME."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class DaemonSettings(Section):
    """How the process that holds the home behaves."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages that are logged: debug, info, warning or error."""

    max_connections: int = Field(default=128, ge=4, le=10_000)
    """How many clients may be connected at once; who comes later is told to try again."""
