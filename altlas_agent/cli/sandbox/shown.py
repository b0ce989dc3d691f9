"""A result of the sandbox as commands show it: text for people, fields for programs."""

from __future__ import annotations

import codecs

from altlas_agent.core.records import Record, RunResult


class Shown(Record):
    """One execution as JSON. `stdout_replaced` says that bytes which are no UTF-8 are shown as U+FFFD."""

    language: str
    status: str
    exit: int | None
    signal: int | None
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    stdout_replaced: bool
    stderr_replaced: bool
    stdout_bytes: int
    stderr_bytes: int
    returns: tuple[str, ...]
    cpu_s: float
    user_s: float
    system_s: float
    wall_s: float
    max_rss_mb: float
    rung: str
    layers: tuple[str, ...]
    engine: str


def shown(language: str, result: RunResult) -> Shown:
    """Everything that a run showed."""
    return Shown(
        language=language,
        status=result.status.value,
        exit=result.exit_code,
        signal=result.signal,
        stdout=text_of(result.stdout),
        stderr=text_of(result.stderr),
        stdout_truncated=result.stdout_truncated,
        stderr_truncated=result.stderr_truncated,
        stdout_replaced=not _is_text(result.stdout, cut=result.stdout_truncated),
        stderr_replaced=not _is_text(result.stderr, cut=result.stderr_truncated),
        stdout_bytes=result.stdout_bytes,
        stderr_bytes=result.stderr_bytes,
        returns=result.returns,
        cpu_s=round(result.cpu_s, 6),
        user_s=round(result.user_s, 6),
        system_s=round(result.system_s, 6),
        wall_s=round(result.wall_s, 6),
        max_rss_mb=round(result.max_rss_mb, 3),
        rung=result.rung,
        layers=result.layers,
        engine=result.engine,
    )


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _is_text(raw: bytes, *, cut: bool) -> bool:
    """Whether it is UTF-8; what was cut may end in the middle of a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw, final=not cut)
    except UnicodeDecodeError:
        return False
    return True
