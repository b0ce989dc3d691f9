"""The whole exception tree, drawn here; boundary(), revived() and ungrouped().

AltlasError                     everything we raise on purpose; carries an exit code
├── UsageError                  the command was called wrongly                        2
│   └── AmbiguousError          a name stands for several things                      2
├── RunFailedError              the run itself failed                                 1
├── RunRefusedError             a run cannot go on, or cannot be asked for this        1
├── NotFoundError               no such run, attempt, task or suite                   1
├── SettingsError               a setting is unknown, ineffective or out of range    78
├── TaskError                   a task file is broken                                78
├── LanguageError               a language map or grammar is broken, or text is foreign to it
├── PolicyError                 the student could not generate, learn or save
│   └── NoRoomError             the disk is full, so that it could not save
├── ScoringError                a scorer failed or returned nonsense
├── SandboxError                the sandbox could not run a program
│   └── NoJailError             no permitted jail works on this machine              69
├── ServiceMissingError         a needed program or package is missing               69
├── EventRefused                what was announced is not a sound event
├── CutOffError                 a listener of the bus did not keep up
├── AskCycleError               an actor would wait for itself
├── ProcessError                a child process misbehaved
│   ├── ActorDied               it, or an actor, ended while somebody waited for it
│   └── DeadlineExceeded        it, or an actor, did not answer in time
├── StorageError                the store failed                                     70
│   ├── DatabaseDamagedError    the database file is damaged                         74
│   └── SchemaNewerError        the database is newer than this program              74
└── HomeBusyError               another process holds the home                       75
"""

from __future__ import annotations

import enum
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_E = TypeVar("_E", bound="AltlasError")


class Exit(enum.IntEnum):
    """The exit codes of every command: the one table, shown by `altlas --help` and the docs."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SERVICE_MISSING = 69
    STORE_FAILED = 70
    DATABASE_DAMAGED = 74
    HOME_BUSY = 75
    SETTINGS_REFUSED = 78
    INTERRUPTED = 130


EXIT_MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED: "failed, or nothing found",
    Exit.USAGE: "wrong use of the command",
    Exit.SERVICE_MISSING: "a needed service or tool is missing",
    Exit.STORE_FAILED: "the store failed (disk full, no permission)",
    Exit.DATABASE_DAMAGED: "the database is damaged, or newer than this program",
    Exit.HOME_BUSY: "another process holds the home",
    Exit.SETTINGS_REFUSED: "a setting or a task file was refused",
    Exit.INTERRUPTED: "interrupted; everything so far is kept",
}


class AltlasError(Exception):
    """Raised when AltLAS cannot do what was asked; `message` says what, where and what to do."""

    exit_code: ClassVar[Exit] = Exit.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(AltlasError):
    """Raised when a command is called with words that do not fit together."""

    exit_code = Exit.USAGE


class AmbiguousError(UsageError):
    """Raised when several things have the name that was given; `candidates` are what to say instead."""

    def __init__(self, nouns: str, name: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{len(candidates)} {nouns} are named {name!r}: say which of {', '.join(candidates)}"
        )
        self.candidates = tuple(candidates)


class RunFailedError(AltlasError):
    """Raised when a run ends because one of its parts gave up."""


class RunRefusedError(AltlasError):
    """Raised when a run cannot go on as it was, or is not in a state for what was asked of it."""


class NotFoundError(AltlasError):
    """Raised when no run, attempt, task or suite has the given name."""

    def __init__(self, noun: str, name: str, remedy: str) -> None:
        super().__init__(f"no {noun} {name!r}; {remedy}")


class SettingsError(AltlasError):
    """Raised when a setting is unknown, has no effect, or does not fit its type."""

    exit_code = Exit.SETTINGS_REFUSED


class TaskError(AltlasError):
    """Raised when a task file cannot be read or breaks the schema."""

    exit_code = Exit.SETTINGS_REFUSED

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem} (the format: altlas task schema)")


class LanguageError(AltlasError):
    """Raised when a language map or token sequence breaks the grammar."""


class PolicyError(AltlasError):
    """Raised when the student cannot generate, learn, save or load."""


class NoRoomError(PolicyError):
    """Raised when a checkpoint cannot be written because the disk is full: later it can be."""


class ScoringError(AltlasError):
    """Raised when a scorer fails or returns a number outside its range."""


class SandboxError(AltlasError):
    """Raised when the sandbox itself fails; what a program does is an outcome, never this."""


class NoJailError(SandboxError):
    """Raised when no permitted rung of the ladder of jails works here."""

    exit_code = Exit.SERVICE_MISSING


class ServiceMissingError(AltlasError):
    """Raised when a program or package that is needed is not installed."""

    exit_code = Exit.SERVICE_MISSING


class EventRefused(AltlasError):
    """Raised when what is announced is no event, has a wrong field, or is too big."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"{kind} was not announced: {problem}")


class CutOffError(AltlasError):
    """Raised when a listener reads that was cut off; `cursor` is the last event it may count on."""

    def __init__(self, listener: str, reason: str, cursor: int) -> None:
        super().__init__(f"{listener} was cut off the bus: {reason}; begin again after event {cursor}")
        self.cursor = cursor


class AskCycleError(AltlasError):
    """Raised when an actor asks itself, or one that waits for it."""

    def __init__(self, chain: Sequence[str]) -> None:
        super().__init__(f"an actor would wait for itself: {' asks '.join(chain)}")


class ProcessError(AltlasError):
    """Raised when a child process answers with an error or with something unreadable."""


class ActorDied(ProcessError):
    """Raised when a child or an actor ends while an answer is outstanding, or has ended."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name} died: {detail}")


class DeadlineExceeded(ProcessError):
    """Raised when a child, an actor or a listener does not answer within the deadline."""

    def __init__(self, name: str, request: str, timeout_s: float) -> None:
        super().__init__(f"{name} did not answer {request} within {timeout_s:g} s")


class StorageError(AltlasError):
    """Raised when the store cannot be opened, read or written."""

    exit_code = Exit.STORE_FAILED


class DatabaseDamagedError(StorageError):
    """Raised when SQLite reports that the database file is malformed."""

    exit_code = Exit.DATABASE_DAMAGED


class SchemaNewerError(StorageError):
    """Raised when the database was written by a newer AltLAS than this one."""

    exit_code = Exit.DATABASE_DAMAGED


class HomeBusyError(AltlasError):
    """Raised when another process holds the lock of the home."""

    exit_code = Exit.HOME_BUSY


@contextmanager
def boundary(kind: type[AltlasError], doing: str) -> Generator[None]:
    """Attribute whatever foreign code raises to the border it crossed.

    An AltlasError passes unchanged; anything else becomes `kind` with `doing` in front and the
    original as its cause.
    """
    try:
        yield
    except AltlasError:
        raise
    except Exception as error:  # whatever foreign code raises: this is the border that names and re-raises it
        detail = str(error) or type(error).__name__
        raise _with_message(kind, f"{doing}: {detail}") from error


def revived(kind: str, message: str) -> AltlasError:
    """The error that another process raised, from the name of its class and its message.

    A ProcessError when no class has this name, and for the troubles which that process had with
    children of its own: here they would tell of the wrong child.
    """
    found = next((each for each in _tree(AltlasError) if each.__name__ == kind), ProcessError)
    return _with_message(ProcessError if issubclass(found, ProcessError) else found, message)


@contextmanager
def ungrouped() -> Generator[None]:
    """Task groups wrap whatever they raise: what is alone in its group comes out as itself.

    Of several AltlasErrors the first comes out: one cause often has many effects. A group with a bug
    in it stays whole.
    """
    try:
        yield
    except ExceptionGroup as group:
        errors = list(leaves_of(group))
        if len(errors) > 1 and not all(isinstance(error, AltlasError) for error in errors):
            raise
        raise errors[0] from None


def _with_message(kind: type[_E], message: str) -> _E:
    """An error of a class that would build its message from other words."""
    error = kind.__new__(kind)
    AltlasError.__init__(error, message)
    return error


def _tree(root: type[AltlasError]) -> Iterator[type[AltlasError]]:
    yield root
    for below in root.__subclasses__():
        yield from _tree(below)


def leaves_of(error: Exception) -> Iterator[Exception]:
    """What a task group has wrapped, however deep; an error that is no group is its own leaf."""
    if isinstance(error, ExceptionGroup):
        for below in cast("ExceptionGroup[Exception]", error).exceptions:
            yield from leaves_of(below)
    else:
        yield error
