"""altlas exec: run one program, or many of them, in the sandbox."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.options import json_option, read_settings, settings_options
from altlas_agent.cli.output import duration, note, write_json
from altlas_agent.cli.sandbox.shown import shown, text_of
from altlas_agent.core.errors import Exit, NotFoundError, UsageError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.core.text import safe
from altlas_agent.languages.execution import executions, language_called, language_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from altlas_agent.settings.run import Settings

DEFAULTS = Limits(cpu_s=10.0, wall_s=20.0, memory_mb=512)
_LIMITS = (
    ("--cpu-s", "cpu_s", click.FloatRange(min=0, min_open=True), "CPU seconds."),
    ("--wall-s", "wall_s", click.FloatRange(min=0, min_open=True), "Seconds on the clock."),
    ("--memory-mb", "memory_mb", click.IntRange(min=1), "Megabytes of memory."),
    ("--output-kb", "output_kb", click.IntRange(min=1), "Kilobytes kept of each stream."),
    ("--processes", "processes", click.IntRange(min=1), "Processes and threads at the same time."),
    ("--tmp-mb", "tmp_mb", click.IntRange(min=1), "Megabytes in /tmp."),
    ("--files", "files", click.IntRange(min=1), "Open files; 16 times as many may lie in /tmp."),
)


def limits_options(command: Callable[..., object]) -> Callable[..., object]:
    """Adds one option for each limit, under its name in `Limits`."""
    for spelling, name, kind, text in reversed(_LIMITS):
        default = getattr(DEFAULTS, name)
        command = click.option(spelling, name, type=kind, default=default, show_default=True, help=text)(
            command
        )
    return command


@click.command("exec")
@click.argument("file", required=False)
@click.option("--lang", metavar="L", help="The language. [default: by the end of FILE]")
@click.option("--stdin", "stdin", metavar="F", help="What the program reads; - is our own standard input.")
@click.option(
    "--batch", metavar="F", help="Run a program for each line of a JSONL file; - is standard input."
)
@click.option("--cache", is_flag=True, help="In a batch, run the same program once only.")
@limits_options
@settings_options
@json_option
def execute(
    *,
    file: str | None,
    lang: str | None,
    stdin: str | None,
    batch: str | None,
    cache: bool,
    profile: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
    **limits: float,
) -> int:
    """Run programs in the sandbox.

    Runs the one in FILE (- is standard input) and shows what it did.

    Exit code 0: the program ran, whatever came of it. 69: no jail works here, or its compiler or
    interpreter is missing. 1: the sandbox refused to run it, or failed.

    --batch reads one object per line, {"language", "code"} and, where needed, "id", "stdin", "entry",
    "calls" (each the list of arguments) and "limits" by name; it writes one object per line, in order.
    A line that is wrong gives {"line", "error"}, and the rest goes on.
    """
    settings = read_settings(profile=profile, assignments=assignments).settings
    allowed = Limits(**limits)  # type: ignore[arg-type]  # click has seen to the types
    if batch is not None:
        if file is not None or lang is not None or stdin is not None:
            raise UsageError("--batch takes programs, languages and input from its lines alone")
        return _batch(batch, settings, allowed, remembers=cache)
    if file is None:
        raise UsageError("name a file with a program, or --batch F")
    program = _program(file, lang, stdin, settings.sandbox.languages)
    result = anyio.run(partial(_run, program, allowed, settings))
    if as_json:
        write_json(shown(program.language, result))
    else:
        _write(result)
    return _exit_code(program, result, settings)


def _program(file: str, lang: str | None, stdin: str | None, further: str) -> Program:
    if file == "-" and stdin == "-":
        raise UsageError("standard input cannot be the program and its input")
    language = language_called(lang, further) if lang else language_of(Path(file), further)
    if not language:
        known = ", ".join(executions(further))
        raise UsageError(f"the name {file} does not tell the language; say --lang, one of {known}")
    return Program(language=language, code=_read(file), stdin=_read(stdin) if stdin else "")


def _read(name: str) -> str:
    """Bytes that are no UTF-8 become what the sandbox refuses."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise NotFoundError("file", name, error.strerror or str(error)) from error
    return raw.decode("utf-8", "surrogateescape")


async def _run(program: Program, limits: Limits, settings: Settings) -> RunResult:
    # Imported here: --help and wrong words need no sandbox.
    from altlas_agent.cli.sandbox.pools import started

    async with started(settings, workers=1, prewarmed_nodes=0) as pool:
        return await pool.run(program, limits)


def _batch(name: str, settings: Settings, allowed: Limits, *, remembers: bool) -> int:
    from altlas_agent.cli.sandbox.batch import run_batch

    with _opened(name) as source:
        return anyio.run(partial(run_batch, source, settings, allowed, remembers=remembers))


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(name, "rb")
    except OSError as error:
        raise NotFoundError("file", name, error.strerror or str(error)) from error


def _write(result: RunResult) -> None:
    """The streams as they are, or harmless where a terminal shows them; then a line about the run."""
    for raw, stream in ((result.stdout, sys.stdout), (result.stderr, sys.stderr)):
        if stream.isatty():
            stream.write(safe(text_of(raw)))
        else:
            stream.buffer.write(raw)
        stream.flush()
    how = result.status.value
    if result.signal is not None:
        how += f", signal {result.signal}"
    elif result.exit_code is not None:
        how += f", exit {result.exit_code}"
    cut = ", output cut" if result.stdout_truncated or result.stderr_truncated else ""
    where = f", {result.engine} in {result.rung}" if result.rung else ""
    spent = f"{result.cpu_s:.3f} s CPU, {duration(result.wall_s)}, {result.max_rss_mb:.0f} MB"
    note(f"\naltlas: {how}{cut}; {spent}{where}")


def _exit_code(program: Program, result: RunResult, settings: Settings) -> int:
    if result.status not in (Status.REFUSED, Status.INTERNAL):
        return Exit.DONE
    from altlas_agent.cli.sandbox.pools import lacking
    from altlas_agent.rewards.service import options_of

    known = program.language in executions(settings.sandbox.languages)
    missing = known and lacking(program.language, options_of(settings.sandbox))
    return Exit.SERVICE_MISSING if missing else Exit.FAILED
