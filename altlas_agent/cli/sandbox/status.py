"""altlas sandbox: what runs programs here, what is missing, and whether it holds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.options import json_option, read_settings, settings_options
from altlas_agent.cli.output import Column, write_json, write_line, write_table
from altlas_agent.core.errors import AltlasError, Exit, ServiceMissingError
from altlas_agent.core.records import Limits, Record, RunResult, Status
from altlas_agent.languages.execution import executions

if TYPE_CHECKING:
    from altlas_agent.sandbox.checks.probes import Probed
    from altlas_agent.sandbox.pool import Pool
    from altlas_agent.sandbox.slots import Options
    from altlas_agent.settings.run import Settings

_LIMITS = Limits(cpu_s=10.0, wall_s=20.0)
_COLUMNS = tuple(map(Column, ("language", "state", "rung", "engine", "version", "layers")))
_PROBE_COLUMNS = tuple(map(Column, ("language", "probe", "held")))


class Lane(Record):
    """How programs of one language run here. `missing` says what to install, `problem` what went wrong."""

    language: str
    works: bool
    rung: str = ""
    layers: tuple[str, ...] = ()
    engine: str = ""
    version: str = ""
    path: str = ""
    missing: str = ""
    problem: str = ""


class Report(Record):
    """What `sandbox doctor` found."""

    healthy: bool
    languages: tuple[Lane, ...]
    probes: tuple[Probed, ...] = ()


@click.group()
def sandbox() -> None:
    """See what the sandbox can do here, and test it."""


@sandbox.command()
@settings_options
@json_option
def status(*, profile: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """For each language the rung of the ladder of jails that works here, its layers and its engine.

    Each is proved by running a program. What is missing is named with the package that brings it.
    """
    report = _report(profile, assignments, probing=False)
    if as_json:
        write_json({"languages": report.languages})
    else:
        _write_lanes(report.languages)


@sandbox.command()
@settings_options
@json_option
def doctor(*, profile: str | None, assignments: tuple[str, ...], as_json: bool) -> int:
    """Run a program in each language, then hostile ones, and watch them from outside.

    Exit code 0: everything works and holds. 69: a language or the jail itself is missing something.
    1: a program did what it must not.
    """
    report = _report(profile, assignments, probing=True)
    if as_json:
        write_json(report)
    else:
        _write_lanes(report.languages)
        rows = [(each.language, each.probe, each.problem or "yes") for each in report.probes]
        write_table(_PROBE_COLUMNS, rows)
        write_line("everything holds" if report.healthy else "not healthy: see above")
    problems = [*(each.problem for each in report.probes), *(lane.problem for lane in report.languages)]
    if any(problems):
        return Exit.FAILED
    return Exit.DONE if report.healthy else Exit.SERVICE_MISSING


def _report(profile: str | None, assignments: tuple[str, ...], *, probing: bool) -> Report:
    settings = read_settings(profile=profile, assignments=assignments).settings
    return anyio.run(partial(_examine, settings, probing=probing))


async def _examine(settings: Settings, *, probing: bool) -> Report:
    from altlas_agent.cli.sandbox.pools import started
    from altlas_agent.rewards.service import options_of
    from altlas_agent.sandbox.checks.probes import probe

    options = options_of(settings.sandbox)
    lanes: list[Lane] = []
    probes: list[Probed] = []
    async with started(settings, workers=1, prewarmed_nodes=0) as pool:
        for language in executions(settings.sandbox.languages):
            lane = await _lane(language, options, pool)
            lanes.append(lane)
            if probing and lane.works:
                probes += await probe(language, pool.run)
    healthy = all(lane.works for lane in lanes) and not any(each.problem for each in probes)
    return Report(healthy=healthy, languages=tuple(lanes), probes=tuple(probes))


async def _lane(language: str, options: Options, pool: Pool) -> Lane:
    from altlas_agent.sandbox.engines import quickjs
    from altlas_agent.sandbox.engines.tools import version
    from altlas_agent.sandbox.slots import canary, engine_of

    name = executions(options.languages)[language].engine
    try:
        engine = engine_of(language, options)
        result = await pool.run(canary(language, options), _LIMITS)
    except AltlasError as error:
        lacks = error.exit_code is Exit.SERVICE_MISSING or isinstance(error, ServiceMissingError)
        return Lane(
            language=language,
            works=False,
            engine=name,
            missing=error.message if lacks else "",
            problem="" if lacks else error.message,
        )
    found = version(engine)
    works = result.status is Status.SUCCESS and result.stdout == b"42\n"
    return Lane(
        language=language,
        works=works,
        rung=result.rung,
        layers=result.layers,
        engine=result.engine or name,
        version=", node ".join((quickjs.version(), found)) if result.engine == quickjs.ENGINE else found,
        path=engine.path,
        problem="" if works else _trouble(result),
    )


def _trouble(result: RunResult) -> str:
    return f"its canary ended with {result.status.value}: {result.stderr.decode(errors='replace')[:300]}"


def _write_lanes(lanes: tuple[Lane, ...]) -> None:
    rows = [
        (
            lane.language,
            "works" if lane.works else "missing" if lane.missing else "fails",
            lane.rung,
            lane.engine,
            lane.version,
            " ".join(lane.layers),
        )
        for lane in lanes
    ]
    write_table(_COLUMNS, rows)
    for lane in lanes:
        if not lane.works:
            write_line(f"{lane.language}: {lane.missing or lane.problem}")
