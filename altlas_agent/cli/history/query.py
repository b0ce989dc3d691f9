"""altlas query: questions in SQL, which can only read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.formats.form import form_options
from altlas_agent.cli.formats.frame import Frame
from altlas_agent.cli.formats.listing import Cut, write_frame
from altlas_agent.cli.history.opening import database
from altlas_agent.cli.options import home_option
from storage.reading.guard import MAX_ROWS, SECONDS, open_guarded
from storage.reading.published import VIEWS

if TYPE_CHECKING:
    from altlas_agent.cli.formats.form import Form

_LONGEST_QUERY = 1_000_000


@click.command()
@click.argument("sql", metavar="SQL", required=False)
@click.option("--schema", is_flag=True, help="List the views and their columns, and ask nothing.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    metavar="S",
    help="End the question after this many seconds.",
)
@form_options(limit=MAX_ROWS)
@home_option
def query(*, sql: str | None, schema: bool, timeout: float, form: Form, home: str | None) -> None:
    """Ask the database in SQL, without changing it. One SELECT at a time.


    \b
    altlas query "SELECT task, count(*), max(score) FROM v_attempts WHERE run_id = 3 GROUP BY task"
    altlas query "SELECT number, code FROM v_attempts WHERE id IN
                  (SELECT rowid FROM program_search WHERE program_search MATCH 'sorted')"

    What stays as it is are the views (--schema): v_runs, v_tasks, v_attempts, v_metrics, v_events. Tables
    may be read as well, and may change. SQL of "-" is read from standard input.
    """
    if schema:
        rows = [(view, column) for view, columns in VIEWS.items() for column in columns]
        write_frame(Frame(("view", "column"), rows, (str, str)), form, cut=Cut(total=len(rows)))
        return
    if sql is None:
        raise click.UsageError('what to ask? altlas query "SELECT * FROM v_runs", or --schema')
    with open_guarded(database(home), seconds=timeout) as guarded:
        answer = guarded.ask(sys.stdin.read(_LONGEST_QUERY) if sql == "-" else sql, limit=form.limit)
    total = None if answer.is_cut else len(answer.rows)
    write_frame(Frame(answer.names, answer.rows), form, cut=Cut(answer.is_cut, total))
