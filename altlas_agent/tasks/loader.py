"""Task files to Task records, with limits, constraints and language."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from altlas_agent import resources
from altlas_agent.core.errors import NotFoundError, TaskError
from altlas_agent.tasks.files.explain import explained
from altlas_agent.tasks.files.family import MAX_TRIES, Split, draw, fill, unused
from altlas_agent.tasks.files.reading import MAX_SHOWN, Problem, Tree, read_tree, refuse
from altlas_agent.tasks.files.records import to_task
from altlas_agent.tasks.files.rules import broken_rules
from altlas_agent.tasks.schema import ParametersOnly, TaskFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from altlas_agent.core.records import Task
    from altlas_agent.tasks.schema import Parameter

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One task of a suite, or one family of tasks.

    `file` is the content as it was checked: for a family, that of its first training instance.
    """

    suite: str
    path: Path
    file: TaskFile
    tree: Tree = field(repr=False)

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def key(self) -> str:
        """`suite/name`, as in Task.key."""
        return f"{self.suite}/{self.name}"

    @property
    def is_family(self) -> bool:
        return bool(self.file.parameters)

    def instance(self, split: Split = "train", index: int = 0) -> Task:
        """The task itself; for a family its `index`-th instance of a split, always the same one.

        Instances of different splits never have the same values; two of one split may.
        """
        if not self.is_family:
            return to_task(self.suite, self.file, split="", index=-1)
        file = _instance(self.path, self.tree, self.file.parameters, split=split, index=index)
        return to_task(self.suite, file, split=split, index=index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Tasks in the order in which they are meant to be learned."""

    name: str
    entries: tuple[Entry, ...]
    path: Path
    """The folder or file that it was read from."""

    def entry(self, name: str) -> Entry:
        """Raises NotFoundError when the suite has no such task."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise NotFoundError("task", f"{self.name}/{name}", f"see: altlas task list {self.name}")


def shipped_suites() -> tuple[str, ...]:
    """The names of the suites that come with AltLAS."""
    return tuple(folder.name for folder in suite_folders(resources.location("configs", "tasks")))


def suite_folders(path: Path) -> tuple[Path, ...]:
    """The folders at and below `path` that hold task files, sorted; hidden ones are left out."""
    folders = {file.parent for file in path.rglob("*.json") if not _is_hidden(file.relative_to(path))}
    return tuple(sorted(folders))


def load_suite(name_or_path: str | Path) -> Suite:
    """A shipped suite by name, or the suite in a folder or in one file.

    Raises NotFoundError when there is neither, TaskError with every broken file otherwise.
    """
    path = locate(name_or_path)
    suite, errors = read_suite(path)
    refuse_broken(path, errors)
    return suite


def read_suite(path: Path) -> tuple[Suite, list[TaskError]]:
    """What can be read of the suite in a folder or file, and what is wrong with the rest."""
    folder = path if path.is_dir() else path.parent
    name = _UNSAFE.sub("-", folder.resolve().name).strip(".-") or "tasks"
    entries: dict[str, Entry] = {}
    errors: list[TaskError] = []
    for file in task_files(path):
        try:
            if file != path:
                _refuse_link_out(file, folder)
            entry = read_entry(file, name)
            if entry.name in entries:
                other = entries[entry.name].path
                raise TaskError(f"{file}: name", f"{entry.name!r} is also the name of {other}")
            entries[entry.name] = entry
        except TaskError as error:
            errors.append(error)
    order = sorted(entries.values(), key=lambda entry: (entry.file.rung, entry.file.difficulty, entry.name))
    return Suite(name=name, entries=tuple(order), path=path.absolute()), errors


def _refuse_link_out(file: Path, folder: Path) -> None:
    """A folder that came from somebody else must not have us read what it does not hold."""
    if os.path.dirname(os.path.realpath(file)) != os.path.realpath(folder):
        raise TaskError(str(file), "is a link that leads out of its folder; put the file itself there")


def locate(name_or_path: str | Path) -> Path:
    """Where a suite lies: a shipped one of this name, else a folder or file at this path."""
    text = str(name_or_path)
    shipped = shipped_suites()
    if text in shipped:
        return resources.location("configs", "tasks") / text
    path = Path(text)
    with suppress(OSError):
        if "\x00" not in text and path.exists():
            return path
    raise NotFoundError(
        "task suite", text, f"there are: {', '.join(shipped)}, or give the path of a folder or file"
    )


def task_files(path: Path) -> list[Path]:
    """The task files directly in a folder, or the one file. Raises NotFoundError for an empty folder."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.json") if not file.name.startswith("."))
    if not files:
        raise NotFoundError("task file", str(path), "a suite is a folder with one .json file for each task")
    return files


def read_entry(path: Path, suite: str) -> Entry:
    """One checked task file. Raises TaskError that lists every problem with its place."""
    tree = read_tree(path)
    if "parameters" not in tree:
        return Entry(suite=suite, path=path, file=_checked(path, tree), tree=tree)
    parameters = _declared(path, tree)
    _instance(path, tree, parameters, split="unseen", index=0)
    file = _instance(path, tree, parameters, split="train", index=0)
    return Entry(suite=suite, path=path, file=file, tree=tree)


def _declared(path: Path, tree: Tree) -> Mapping[str, Parameter]:
    """The parameters of a family. Where they are broken, all other problems are told with theirs."""
    try:
        parameters = ParametersOnly.model_validate_json(
            json.dumps({"parameters": tree["parameters"]})
        ).parameters
    except ValidationError:
        refuse(path, [problem for problem in _problems(tree) if _is_sure(problem)])
        raise
    idle = unused(tree, parameters)
    refuse(path, [Problem(f"parameters.{name}", f"no text mentions {{{name}}}") for name in idle])
    if not parameters:
        refuse(
            path, [Problem("parameters", "a family needs at least one; leave the key out for a plain task")]
        )
    return parameters


def _is_sure(problem: Problem) -> bool:
    """False for complaints about `{a}` in the place of a number, which no value has replaced yet."""
    return problem.place.startswith("parameters") or "{" not in problem.text


def _instance(
    path: Path, tree: Tree, parameters: Mapping[str, Parameter], *, split: Split, index: int
) -> TaskFile:
    values = draw(str(tree.get("name")), parameters, split, index=index)
    if values is None:
        problem = (
            f"no {split} instance in {MAX_TRIES} draws: the parameters have too few values for two splits"
        )
        raise TaskError(f"{path}: parameters", problem)
    return _checked(path, fill(tree, values))


def _checked(path: Path, tree: Tree) -> TaskFile:
    """Raises TaskError unless shape and rules are kept."""
    refuse(path, list(_problems(tree)))
    return TaskFile.model_validate_json(json.dumps(tree))


def _problems(tree: Tree) -> list[Problem]:
    """JSON text is what strict models accept tuples and enumerations from."""
    try:
        file = TaskFile.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        return list(explained(TaskFile, error))
    return list(broken_rules(file))


def refuse_broken(path: Path, errors: Sequence[TaskError]) -> None:
    """Raises the one error, or one that tells them all; returns when there is none."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        told = [error.message.partition(" (the format:")[0].rstrip() for error in errors[:MAX_SHOWN]]
        left = f"\n  and {len(errors) - MAX_SHOWN} more" if len(errors) > MAX_SHOWN else ""
        lines = "".join("\n  " + line.replace("\n", "\n  ") for line in told)
        raise TaskError(str(path), f"{len(errors)} broken files{lines}{left}\n")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
