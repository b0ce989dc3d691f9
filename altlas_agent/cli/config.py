"""`altlas config`: what the settings are, where they come from, and whether a file is right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.failures import printable
from altlas_agent.cli.options import home_option, json_option, read_settings, settings_options
from altlas_agent.daemon.home import resolve_home
from altlas_agent.settings.describe import describe
from altlas_agent.settings.load import load, project_file, resolved, user_path
from altlas_agent.settings.reading.tree import flatten
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from altlas_agent.settings.load import Loaded


@click.group()
def config() -> None:
    """Show and check settings, and where they come from.

    A flag wins over the environment (ALTLAS_RUN__SEED=7), that over ./altlas.toml, that over your
    own file, that over the profile, and that over the default.
    """


@config.command()
@click.option("--origin", is_flag=True, help="Say behind each setting where it came from.")
@settings_options
@json_option
def show(*, origin: bool, profile: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Every setting as a run started here would have it."""
    loaded = read_settings(profile=profile, assignments=assignments)
    rows = _rows(loaded)
    if as_json:
        click.echo(json.dumps({"rows": rows, "truncated": False, "total": len(rows)}))
        return
    lines = [f"{row['key']} = {json.dumps(row['value'])}" for row in rows]
    width = max(len(line) for line in lines)
    for line, row in zip(lines, rows, strict=True):
        click.echo(f"{line:<{width}}  # {printable(str(row['origin']))}" if origin else line)


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
def validate(*, file: Path | None, as_json: bool) -> None:
    """Check FILE as a settings file; without it, everything that a run started here would read."""
    if file is None:
        loaded, subject = read_settings(profile=None, assignments=()), "settings"
    else:
        loaded = load(flags={}, environ={}, project_file=file, user_file=None, profile=None)
        subject = str(file)
    given = sum(origin.kind != "default" for origin in loaded.origins.values())
    if as_json:
        click.echo(json.dumps({"valid": True, "subject": subject, "given": given, "profile": loaded.profile}))
    else:
        click.echo(
            f"{printable(subject)}: right, {given} of {len(loaded.origins)} settings are not the default"
        )


@config.command()
@home_option
@json_option
def path(*, home: str | None, as_json: bool) -> None:
    """Where settings are looked for, strongest first, and where the home lies."""
    places = {
        "project file": (project_file(os.environ) or Path("altlas.toml")).absolute(),
        "user file": user_path(),
        "home": resolve_home(home),
    }
    rows = [{"name": name, "path": str(place), "exists": place.exists()} for name, place in places.items()]
    if as_json:
        click.echo(json.dumps({"rows": rows, "truncated": False, "total": len(rows)}))
        return
    for row in rows:
        missing = "" if row["exists"] else "  (not there)"
        click.echo(f"{row['name']:<12}  {printable(str(row['path']))}{missing}")


@config.command()
def default() -> None:
    """A settings file with every key, described, at its default."""
    click.echo(describe(Settings()), nl=False)


@config.command()
def schema() -> None:
    """The JSON schema of a settings file, for editors."""
    described = Settings.model_json_schema()
    described["properties"]["profile"] = {"type": "string", "description": "The profile to start from."}
    click.echo(json.dumps(described, indent=2))


def _rows(loaded: Loaded) -> list[dict[str, object]]:
    leaves = [(".".join(key), value) for key, value in flatten(resolved(loaded.settings))]
    return [{"key": key, "value": value, "origin": str(loaded.origins[key])} for key, value in leaves]
