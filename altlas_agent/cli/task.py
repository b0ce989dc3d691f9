"""altlas task: list, show and check tasks, and print the format of their files."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.options import json_option, read_settings, settings_options
from altlas_agent.cli.output import (
    Column,
    note,
    write_block,
    write_json,
    write_line,
    write_rows_json,
    write_table,
)
from altlas_agent.core.errors import Exit, NotFoundError, TaskError, UsageError
from altlas_agent.core.records import Record
from altlas_agent.tasks.loader import (
    load_suite,
    locate,
    read_suite,
    refuse_broken,
    shipped_suites,
    suite_folders,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Case, Task
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.checks import Proof
    from altlas_agent.tasks.files.family import Split
    from altlas_agent.tasks.loader import Entry

_COLUMNS = (
    Column("task"),
    Column("language"),
    Column("kind"),
    Column("rung", is_number=True),
    Column("difficulty", is_number=True),
    Column("family"),
    Column("description"),
)
_CASE_COLUMNS = (Column("test"), Column("input"), Column("expected"))


class Line(Record, frozen=True):
    """One task in a list."""

    task: str
    language: str
    kind: str
    rung: int
    difficulty: float
    is_family: bool
    description: str
    path: str


class Checked(Record, frozen=True):
    """What `task check` found out about one task."""

    task: str
    path: str
    proved: bool
    instances: int
    cheats: int
    failures: tuple[str, ...]


@click.group()
def task() -> None:
    """List, show and check tasks.

    A suite is a folder with one JSON file for each task. Shipped suites go by their names.
    """


@task.command("list")
@click.argument("suite", required=False)
@json_option
def list_tasks(*, suite: str | None, as_json: bool) -> None:
    """The tasks of SUITE, a name or a path; without it, of every shipped suite."""
    suites = [load_suite(name) for name in ([suite] if suite else shipped_suites())]
    lines = [_line(entry) for found in suites for entry in found.entries]
    if as_json:
        write_rows_json(lines, total=len(lines))
        return
    rows = [_row(each) for each in lines]
    write_table(_COLUMNS, rows)


@task.command()
@click.argument("name")
@click.option(
    "--instance", type=click.IntRange(min=0), default=0, show_default=True, help="Which instance of a family."
)
@click.option(
    "--split",
    type=click.Choice(["train", "unseen"]),
    default="train",
    show_default=True,
    help="From which split.",
)
@json_option
def show(*, name: str, instance: int, split: Split, as_json: bool) -> None:
    """Everything about one task: NAME is suite/name, a name alone, or the path of a file."""
    entry = _find(name)
    shown = entry.instance(split, instance)
    if as_json:
        write_json(shown)
    else:
        _write_task(entry, shown)


@task.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--jobs", type=click.IntRange(min=1, max=256), help="How many tasks at once. [default: one per core]"
)
@settings_options
@json_option
def check(
    *,
    paths: tuple[str, ...],
    jobs: int | None,
    profile: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> int:
    """Prove tasks: the reference solves, no cheat does, and the limits hold.

    PATH is the name of a shipped suite, a file, or a folder with suites anywhere below it.
    """
    entries, errors = _collect(paths)
    if errors and not entries:
        refuse_broken(Path(paths[0]), errors)
    for error in errors:
        note(f"altlas: {error.message}")
    loaded = read_settings(profile=profile, assignments=assignments)
    rows: list[Checked] = []

    def tell(proof: Proof) -> None:
        row = _checked(entries[len(rows)], proof)
        rows.append(row)
        if not as_json:
            _write_checked(row, max(len(entry.key) for entry in entries))

    _prove(entries, loaded.settings, jobs or len(os.sched_getaffinity(0)), tell)
    failed = sum(not row.proved for row in rows)
    if as_json:
        write_rows_json(rows, total=len(rows))
    else:
        write_line(f"{len(rows) - failed} of {len(rows)} tasks proved")
    return _exit_code(refused=len(errors), failed=failed)


@task.command()
def schema() -> None:
    """The JSON schema of a task file."""
    from altlas_agent.tasks.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _line(entry: Entry) -> Line:
    file = entry.file
    described = entry.tree["description"] if entry.is_family else file.description
    return Line(
        task=entry.key,
        language=file.target_language,
        kind=file.kind.value,
        rung=file.rung,
        difficulty=file.difficulty,
        is_family=entry.is_family,
        description=str(described),
        path=str(entry.path),
    )


def _row(line: Line) -> tuple[str, ...]:
    family = "yes" if line.is_family else ""
    return (
        line.task,
        line.language,
        line.kind,
        str(line.rung),
        f"{line.difficulty:g}",
        family,
        line.description,
    )


def _find(name: str) -> Entry:
    if name.endswith(".json") or Path(name).is_file():
        return load_suite(name).entries[0]
    suite, slash, short = name.rpartition("/")
    if slash:
        return load_suite(suite).entry(short)
    found = [entry for each in shipped_suites() for entry in load_suite(each).entries if entry.name == name]
    if not found:
        raise NotFoundError("task", name, "see: altlas task list")
    if len(found) > 1:
        raise UsageError(f"{name!r} is the name of several tasks: {', '.join(entry.key for entry in found)}")
    return found[0]


def _write_task(entry: Entry, shown: Task) -> None:
    facts = {
        "task": shown.id,
        "file": str(entry.path),
        "asks for": f"{shown.target_language}, {shown.kind.value}, rung {shown.rung}, difficulty {shown.difficulty:g}",
        "literals": ", ".join([*map(str, shown.numbers), *map(repr, shown.strings)]) or "none",
        "limits": f"{shown.limits.cpu_s:g} s CPU, {shown.limits.wall_s:g} s, {shown.limits.memory_mb} MB memory, "
        f"{shown.limits.output_kb} KB output, {shown.constraints.max_tokens} tokens",
        **{name: ", ".join(words) for name, words in _rules(shown).items() if words},
    }
    write_line(shown.description)
    for name, text in facts.items():
        write_line(f"{name:<9} {text}")
    if entry.is_family:
        write_line(f"{'family':<9} {json.dumps(entry.tree['parameters'])}")
    write_table(_CASE_COLUMNS, [_case_row(shown, case) for case in shown.cases])
    write_block("reference", shown.reference.rstrip())
    for number, cheat in enumerate(shown.cheats, start=1):
        write_block(f"cheat {number}", cheat.rstrip())
    if shown.tokens:
        write_block("tokens", shown.tokens)


def _rules(shown: Task) -> dict[str, list[str]]:
    rules = shown.constraints
    required = [*rules.require_operators, *(f"{n:g}" for n in rules.require_numbers)]
    forbidden = [*rules.forbid_operators, *(f"{n:g}" for n in rules.forbid_numbers)]
    return {
        "requires": [*required, *map(repr, rules.require_strings), *rules.require_constructs],
        "forbids": [*forbidden, *map(repr, rules.forbid_strings), *rules.forbid_constructs],
    }


def _case_row(shown: Task, case: Case) -> tuple[str, str, str]:
    given = case.args[1:-1] if shown.signature else repr(case.stdin)
    return ("hidden" if case.hidden else "visible", given, case.expected or "what the reference gives")


def _collect(paths: tuple[str, ...]) -> tuple[list[Entry], list[TaskError]]:
    """Every entry below the paths, once, and what is wrong with the files that cannot be read."""
    files: dict[Path, None] = {}
    for name in paths:
        path = locate(name)
        folders = suite_folders(path) if path.is_dir() else (path,)
        if not folders:
            raise NotFoundError("task file", name, "a suite is a folder with one .json file for each task")
        files |= dict.fromkeys(folders)
    found = [read_suite(path) for path in files]
    entries = {entry.path.resolve(): entry for suite, _ in found for entry in suite.entries}
    return list(entries.values()), [error for _, errors in found for error in errors]


def _prove(entries: list[Entry], settings: Settings, jobs: int, tell: Callable[[Proof], None]) -> None:
    # Imported here: list, show and schema need no sandbox.
    from altlas_agent.core.requests import SetUpWorker
    from altlas_agent.rewards.proving import prove_all

    languages = tuple(dict.fromkeys(entry.file.target_language for entry in entries))
    set_up = SetUpWorker(settings=settings.model_dump_json(), languages=languages)
    anyio.run(partial(prove_all, entries, set_up, jobs=jobs, tell=tell))


def _checked(entry: Entry, proof: Proof) -> Checked:
    return Checked(
        task=entry.key,
        path=str(entry.path),
        proved=proof.is_proved,
        instances=proof.instances,
        cheats=len(entry.file.cheats),
        failures=proof.failures,
    )


def _write_checked(row: Checked, width: int) -> None:
    if row.proved:
        proof = f"{_counted(row.instances, 'instance')}, {_counted(row.cheats, 'cheat')} refused"
        write_line(f"proved  {row.task:<{width}}  {proof}")
        return
    write_line(f"FAILED  {row.task}")
    for failure in row.failures:
        write_line(f"        {failure}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _exit_code(*, refused: int, failed: int) -> int:
    if refused:
        return Exit.SETTINGS_REFUSED
    return Exit.FAILED if failed else Exit.DONE
