"""How a command fails: the message people read, the JSON object programs read, and the exit code."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from altlas_agent.core.errors import AltlasError, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

_BROKEN_PIPE = 141


def exit_code_of(error: BaseException, words: Sequence[str]) -> int | None:
    """Tell the user what went wrong and return the exit code; None, and silence, for a bug.

    `words` are those of the command line: with --json among them the error is an object on stdout too.
    """
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case BrokenPipeError():
            _let_nobody_listen()
            return _BROKEN_PIPE
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return Exit.USAGE
        case AltlasError():
            _tell(_kind(error), error.message, words, candidates=getattr(error, "candidates", ()))
            return error.exit_code
        case click.UsageError():
            _tell("usage", _with_usage(error), words)
            return Exit.USAGE
        case click.ClickException():
            _tell("failed", error.format_message(), words)
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            _tell("interrupted", "interrupted", words)
            return Exit.INTERRUPTED
        case _:
            return None


def printable(text: str) -> str:
    """The text with everything a terminal might obey spelled out; lines and tabs stay."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text
    )


def _tell(kind: str, message: str, words: Sequence[str], *, candidates: Sequence[str] = ()) -> None:
    click.echo(f"altlas: {printable(message)}", err=True)
    if "--json" in words:
        import json

        more = {"candidates": list(candidates)} if candidates else {}
        click.echo(json.dumps({"error": {"kind": kind, "message": message, **more}}))


def _kind(error: AltlasError) -> str:
    """HomeBusyError is home_busy."""
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _with_usage(error: click.UsageError) -> str:
    message = error.format_message()
    if error.ctx is None:
        return message
    return f"{message}\n{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help' for help."


def _let_nobody_listen() -> None:
    """Point stdout at nothing, so that the interpreter does not complain when it flushes at the end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
