"""The payload of an `AttemptScored` made again from its attempt, byte for byte as it was announced.

An event is announced in the shape that records have at the time. This module holds the shapes that were
ever stored, as forms with a number: a field that is added to a record is a new form, and the old ones
stay, so that an old event reads the same for ever.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import DatabaseDamagedError
from storage.packing.cases import unpack_cases
from storage.packing.vectors import exact_rewards, unpack_logps, unpack_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Judged, Strategy
    from storage.rows import AttemptRow

NEWEST = b"\x02"
"""The form of the records of today."""

_encode = msgspec.msgpack.Encoder().encode
_decode_json = msgspec.json.Decoder[object]().decode
_decode_known = lru_cache(maxsize=1024)(_decode_json)
"""For what many attempts share: nearly all have the same violations, most of them none."""


def scored_payload(row: AttemptRow, form: bytes = NEWEST) -> bytes:
    """The event in msgpack. Raises DatabaseDamagedError for a form that is not known."""
    if form not in _FORMS:
        raise DatabaseDamagedError(
            f"attempt {row.number} of run r{row.run_id}: unknown form {form!r} of its event"
        )
    return _FORMS[form](row)


def is_kept_whole(judged: Judged) -> bool:
    """True for what the columns of an attempt do not hold.

    A REAL column has no -0.0, and the JSON text of a feedback or a strategy no number that is not finite.
    """
    outcome, feedback = judged.outcome, judged.feedback
    numbers = (judged.score.value, outcome.cpu_s, outcome.wall_s, outcome.max_rss_mb)
    if min(map(_sign_of, numbers)) < 0:
        return True
    strategy = judged.attempt.strategy
    if strategy is not None and not all(map(math.isfinite, _numbers_of(strategy))):
        return True
    return feedback is not None and not (
        math.isfinite(feedback.severity) and all(map(math.isfinite, feedback.blame))
    )


_sign_of = partial(math.copysign, 1.0)


def _numbers_of(strategy: Strategy) -> list[float]:
    return [value for value in msgspec.structs.astuple(strategy) if isinstance(value, float)]


def _form_1(row: AttemptRow) -> bytes:
    return _scored(row, {})


def _form_2(row: AttemptRow) -> bytes:
    """With how the attempt was drawn."""
    return _scored(row, {"strategy": None if row.strategy is None else _decode_known(row.strategy)})


def _scored(row: AttemptRow, more_of_attempt: dict[str, object]) -> bytes:
    rewards = exact_rewards(row.rewards, len(row.reward_names), row.exact)
    attempt = {
        "number": row.number,
        "group": row.group_no,
        "task_id": row.instance_id,
        "code": row.code,
        "tokens": unpack_tokens(row.tokens),
        "logps": unpack_logps(row.logps, row.exact),
        "policy_version": row.policy_version,
        "arm": row.arm,
        **more_of_attempt,
    }
    outcome = {
        "status": row.status,
        "cases": [
            {"passed": passed, "hidden": hidden, "got": got}
            for passed, hidden, got in unpack_cases(row.cases)
        ],
        "violations": _decode_known(row.violations),
        "stdout": row.stdout,
        "stderr": row.stderr,
        "cpu_s": row.cpu_s,
        "wall_s": row.wall_s,
        "max_rss_mb": row.max_rss_mb,
        "rung": row.rung,
        "engine": row.engine,
    }
    score = {
        "value": row.score,
        "parts": dict(zip(row.reward_names, rewards, strict=True)),
        "solved": bool(row.solved),
    }
    judged = {
        "attempt": attempt,
        "outcome": outcome,
        "score": score,
        "fingerprint": row.fingerprint,
        "feedback": None if row.feedback is None else _decode_json(row.feedback),
    }
    return _encode({"type": "AttemptScored", "judged": judged})


_FORMS: dict[bytes, Callable[[AttemptRow], bytes]] = {b"\x01": _form_1, b"\x02": _form_2}
