"""altlas paths and altlas version: where things lie, and what this is."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent import __version__
from altlas_agent.cli.formats.form import Form, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import write_json, write_line
from altlas_agent.core.records import Record
from altlas_agent.daemon.home import LOCK_NAME, resolve_home
from altlas_agent.daemon.service.place import SOCKET_NAME, runtime_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = ("torch", "textual", "pyarrow", "click", "msgspec", "zstandard")


class Place(Record):
    """Something that lies somewhere, or would."""

    name: str
    path: str
    exists: bool


_Shown = Shown[Place]
_COLUMNS = (
    _Shown("what", lambda place: place.name),
    _Shown("path", lambda place: place.path),
    _Shown("there", lambda place: "yes" if place.exists else "no"),
)


@click.command()
@form_options(limit=0)
@home_option
def paths(*, form: Form, home: str | None) -> None:
    """List where things lie."""
    places = [
        Place(name=name, path=str(path), exists=path.exists()) for name, path in _places(resolve_home(home))
    ]
    shown = places[: form.limit] if form.limit else places
    cut = Cut(len(shown) < len(places), len(places))
    write_listing(shown, form, kind=Place, columns=_COLUMNS, cut=cut, empty="nothing lies anywhere")


@click.command("version")
@json_option
def show_version(*, as_json: bool) -> None:
    """Show the version of this, and of what it stands on."""
    found: dict[str, str | None] = {
        "altlas": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
    }
    if as_json:
        write_json(found)
    else:
        for name, number in found.items():
            write_line(f"{name:<10} {number or 'not installed'}")


def _places(home: Path) -> Iterator[tuple[str, Path]]:
    # Imported here: settings are not on the way of commands that only read.
    from platformdirs import user_config_path

    from storage.database import FILE_NAME

    yield "home", home
    yield "database", home / FILE_NAME
    yield "lock", home / LOCK_NAME
    yield "socket", runtime_folder(home, os.environ) / SOCKET_NAME
    yield "runs", home / "runs"
    yield "log", home / "log"
    yield "settings of yours", user_config_path("altlas") / "config.toml"
    yield "settings here", Path("altlas.toml").absolute()
    yield "program", Path(sys.prefix)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
