"""Writes the generated blocks of the documents; with --check, says which of them are stale.

    <!-- output: altlas --help -->       what a command shows in an empty home
    <!-- training: altlas run start -->  the same for a real training run, whose figures vary
    <!-- commands -->                    the --help of every command
    <!-- settings -->                    every setting with its default and its description
    <!-- exit codes -->                  every exit code
    <!-- events -->                      every event with the first sentence of its docstring

A block ends with `<!-- end -->`. Documents with blocks hold no other comments.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import click

from altlas_agent.cli.main import altlas
from altlas_agent.core.errors import EXIT_MEANINGS
from altlas_agent.core.events import EVENT_TYPES, Event
from altlas_agent.settings.reading.tree import leaf_keys
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
FILES = ("README.md", "docs/architecture.md", "docs/cli.md", "docs/settings.md")
COLUMNS = 80
TIMEOUT_S = 900.0

_BLOCK = re.compile(r"^<!-- ([a-z ]+)(?:: ([^\n]+))? -->\n(.*?)^<!-- end -->$", re.DOTALL | re.MULTILINE)
_VARYING = (
    (re.compile(r"^jail .*", re.MULTILINE), "jail"),  # another machine may have another one
    (re.compile(r" \([^)]*\)"), ""),  # why the run ended
    (re.compile(r"\d+ h \d\d min|\d+ min \d\d s|\d+\.\d s"), "#"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d+(?:\.\d+)?|(?<!\S)-(?!\S)"), "#"),
    (re.compile(r" +"), " "),
)


class Kind(NamedTuple):
    """How a block is written from its subject, and what of its text must be as the program would have it."""

    write: Callable[[str], str]
    essence: Callable[[str], str] = str
    trial: Callable[[str], str] | None = None
    """What is written for --check in place of `write`, where that would take too long."""


def main(words: list[str]) -> None:
    """Rewrite the documents, or with --check exit with 1 and a line for each stale block."""
    if words not in ([], ["--check"]):
        sys.exit("usage: python docs/generate.py [--check]")
    if words:
        stale = [problem for name in FILES for problem in problems(name, (ROOT / name).read_text("utf-8"))]
        sys.exit("\n".join(stale) if stale else 0)
    for name in FILES:
        text = (ROOT / name).read_text("utf-8")
        (ROOT / name).write_text(rewritten(name, text), "utf-8")


def rewritten(name: str, text: str) -> str:
    """The document with every block written anew."""
    for block in _blocks(name, text):
        kind, subject, _ = block.groups(default="")
        head = block.group().partition("\n")[0]
        text = text.replace(block.group(), f"{head}\n{KINDS[kind].write(subject)}<!-- end -->", 1)
    return text


def problems(name: str, text: str) -> Iterator[str]:
    """One line for each block of the document that does not say what the program says."""
    for block in _blocks(name, text):
        kind, subject, body = block.groups(default="")
        essence, write = KINDS[kind].essence, KINDS[kind].trial or KINDS[kind].write
        if essence(body) != essence(write(subject)):
            title = f"{kind}: {subject}" if subject else kind
            yield f"{name}: the block '{title}' is stale; run: make docs"


def _blocks(name: str, text: str) -> list[re.Match[str]]:
    found = list(_BLOCK.finditer(text))
    if text.count("<!--") != 2 * len(found) or any(block[1] not in KINDS for block in found):
        sys.exit(f"{name}: a block has no end, or is of a kind that docs/generate.py does not know")
    return found


def shape(text: str) -> str:
    """The text with `#` for every figure: headings, names of tasks and the places of figures stay."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text


class Shown(NamedTuple):
    """What a command wrote on stdout, or where it wrote nothing there, on stderr; and its exit code."""

    text: str
    code: int


def run(command: str) -> Shown:
    """Run a command in a home of its own."""
    with TemporaryDirectory() as folder:
        home = Path(folder) / "altlas"
        done = subprocess.run(
            [sys.executable, "-m", "altlas_agent", *shlex.split(command)[1:]],
            cwd=folder,
            env=_surroundings(home),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        text = (done.stdout or done.stderr).replace(str(home), "~/.local/share/altlas")
    return Shown(f"{text.rstrip()}\n", done.returncode)


def _surroundings(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALTLAS_")}
    return kept | {
        "ALTLAS_HOME": str(home),
        "COLUMNS": str(COLUMNS),
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(home.parent / "config"),
    }


def output(command: str) -> str:
    shown = run(command)
    ending = f"[exit code {shown.code}]\n" if shown.code else ""
    return f"```text\n$ {command}\n{shown.text}{ending}```\n"


def training(command: str, limit: str = "") -> str:
    """A run that ends well: what a failed one says belongs on the screen, not into a document."""
    shown = run(command + limit)
    if shown.code:
        sys.exit(f"{command}: exit code {shown.code}\n{shown.text}")
    return f"```text\n$ {command}\n{shown.text}```\n"


def brief_training(command: str) -> str:
    """The same, stopped after one group: enough to see its shape."""
    return training(command, " --max-attempts 16")


def commands(_: str) -> str:
    """The --help of every command, each under a heading of its own."""
    with ThreadPoolExecutor() as pool:
        return "".join(pool.map(_help_of, _names(altlas, "altlas"))) + "\n"


def _help_of(name: str) -> str:
    return f"\n## {name}\n\n```text\n{run(f'{name} --help').text}```\n"


def _names(command: click.Command, name: str) -> Iterator[str]:
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None and not below.hidden:
                yield from _names(below, f"{name} {word}")


def settings(_: str) -> str:
    """A table of every setting, read off the classes."""
    rows = [
        (f"`{'.'.join(key)}`", f"`{json.dumps(field.default)}`", field.description or "")
        for key, field in leaf_keys(Settings).items()
    ]
    return _table(("setting", "default", "what it does"), rows)


def exit_codes(_: str) -> str:
    return _table(("code", "meaning"), [(str(code.value), text) for code, text in EXIT_MEANINGS.items()])


def events(_: str) -> str:
    rows = [
        (f"`{event.__name__}`", event.lane.value, "yes" if event.durable else "no", _sentence(event))
        for event in sorted(EVENT_TYPES, key=lambda event: event.__name__)
    ]
    return _table(("event", "lane", "durable", "says"), rows)


def _sentence(event: type[Event]) -> str:
    return (event.__doc__ or "").partition("\n\n")[0].replace("\n    ", " ")


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [titles, ("---",) * len(titles), *escaped]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


KINDS = {
    "output": Kind(output),
    "training": Kind(training, shape, brief_training),
    "commands": Kind(commands),
    "settings": Kind(settings),
    "exit codes": Kind(exit_codes),
    "events": Kind(events),
}

if __name__ == "__main__":
    main(sys.argv[1:])
