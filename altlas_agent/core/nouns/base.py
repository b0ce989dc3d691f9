"""What every record is: immutable, keyword-only, closed."""

from __future__ import annotations

from typing import dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)  # tells type checkers what subclasses are
class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every record: immutable, keyword-only, closed."""
