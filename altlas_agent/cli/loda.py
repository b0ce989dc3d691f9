"""altlas loda: run LODA programs, which compute integer sequences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.options import json_option
from altlas_agent.cli.output import note, write_json, write_line
from altlas_agent.core.errors import Exit, LanguageError, NotFoundError, boundary
from altlas_agent.languages.base import MAX_CODE_CHARS
from altlas_agent.languages.loda import LodaSyntaxError, Program, parse
from altlas_agent.languages.loda_machine import CPP_BITS, Evaluation, Limits, decimal, evaluate
from altlas_agent.languages.machine.faults import MIN_BITS, MIN_CELLS, MIN_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFAULT = Limits()
_MAX_TERMS = 100_000
_ID = re.compile(r"[AP][0-9]{6,9}")


@click.group()
def loda() -> None:
    """Run LODA programs, which compute integer sequences."""


@loda.command("eval")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--terms",
    type=click.IntRange(1, _MAX_TERMS),
    default=10,
    show_default=True,
    metavar="N",
    help="How many terms.",
)
@click.option(
    "--offset", type=int, metavar="K", help="The first index. [default: the program's #offset, or 0]"
)
@click.option(
    "--programs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Where the programs lie that FILE calls: FOLDER/A000045.asm or FOLDER/000/A000045.asm.",
)
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    default=_DEFAULT.max_steps,
    show_default=True,
    metavar="N",
    help="Steps for each term, those of called programs included.",
)
@click.option(
    "--max-cells",
    type=click.IntRange(MIN_CELLS, 10_000_000),
    default=_DEFAULT.max_cells,
    show_default=True,
    metavar="N",
    help="Cells that can be written, from $0 on.",
)
@click.option(
    "--max-digits",
    type=click.IntRange(MIN_DIGITS, 1_000_000),
    default=_DEFAULT.max_digits,
    show_default=True,
    metavar="N",
    help="Digits of the largest number.",
)
@click.option(
    "--overflow-bits",
    type=click.IntRange(MIN_BITS, 3_000_000),
    metavar="N",
    help=f"Let numbers of more bits be the error overflow; those of loda-cpp end at {CPP_BITS}.",
)
@json_option
def evaluate_file(
    *, file: Path, terms: int, offset: int | None, programs: Path | None, as_json: bool, **limits: int | None
) -> int:
    """The first terms of the sequence that the LODA program in FILE computes.

    For files of your own: it computes in the process of this command, within these limits and no others.
    altlas exec runs programs in a jail.

    With --json: {"program", "terms" (texts: they can be of any size), "steps" (of each term), "error"
    (the kind, or null), "limit" (the broken one, or null), "message"}. Terms before an error are kept.
    """
    found = _evaluate(file, programs, terms=terms, offset=offset, limits=_limits(limits))
    texts = [decimal(term) for term in found.terms]
    if as_json:
        facts = {"steps": found.steps, "error": found.error, "limit": found.limit, "message": found.message}
        write_json({"program": str(file), "terms": texts, **facts})
    elif texts:
        write_line(",".join(texts))
    if found.error is None:
        return Exit.DONE
    hint = "; --programs says where they lie" if found.error == "invalid_id" and programs is None else ""
    note(f"altlas: {file}: {found.message}{hint}")
    return Exit.FAILED


def _evaluate(
    file: Path, programs: Path | None, *, terms: int, offset: int | None, limits: Limits
) -> Evaluation:
    try:
        program = parse(_read(file))
    except LodaSyntaxError as error:
        return Evaluation(terms=(), steps=(), error=error.kind, message=error.message)
    name = file.stem if _ID.fullmatch(file.stem) else ""
    resolve = None if programs is None else _finder(programs)
    return evaluate(program, terms, offset=offset, limits=limits, resolve=resolve, name=name)


def _limits(given: dict[str, int | None]) -> Limits:
    return Limits(
        max_steps=given["max_steps"] or _DEFAULT.max_steps,
        max_cells=given["max_cells"] or _DEFAULT.max_cells,
        max_digits=given["max_digits"] or _DEFAULT.max_digits,
        overflow_bits=given["overflow_bits"],
    )


def _finder(folder: Path) -> Callable[[str], Program | None]:
    """Looks programs up by their ids, for example A000045."""

    def find(name: str) -> Program | None:
        for path in (folder / f"{name}.asm", folder / name[1:4] / f"{name}.asm"):
            if path.is_file():
                try:
                    return parse(_read(path))
                except LodaSyntaxError as error:
                    raise LanguageError(f"{path}: {error.message}") from error
        return None

    return find


def _read(path: Path) -> str:
    """The text of a file; one too long for a program is cut where it is too long in any case."""
    if not path.is_file():
        raise NotFoundError("LODA program", str(path), "it must be a file")
    with boundary(LanguageError, f"reading {path}"), path.open("rb") as file:
        return file.read(4 * MAX_CODE_CHARS + 4).decode("utf-8", "replace")
