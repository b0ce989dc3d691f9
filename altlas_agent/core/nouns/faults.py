"""What can be wrong with a program, and how much a warning matters: closed sets of words."""

from __future__ import annotations

import enum


class Severity(enum.StrEnum):
    """How much a static finding matters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """Larger for what matters more."""
        return list(Severity).index(self)


class Fault(enum.StrEnum):
    """What was wrong with a program, as far as running it told."""

    NONE = "none"
    SYNTAX = "syntax"
    IMPORT = "import"
    NAME = "name"
    TYPE = "type"
    VALUE = "value"
    INDEX = "index"
    KEY = "key"
    ATTRIBUTE = "attribute"
    ZERO_DIVISION = "zero_division"
    ASSERTION = "assertion"
    RECURSION = "recursion"
    TIMEOUT = "timeout"
    CPU = "cpu"
    MEMORY = "memory"
    OUTPUT = "output"
    REFUSED = "refused"
    CRASH = "crash"
    OTHER = "other"
    WRONG_ANSWER = "wrong_answer"
    CONSTRAINT = "constraint"
    INFRASTRUCTURE = "infrastructure"
