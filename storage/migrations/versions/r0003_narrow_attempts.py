"""Makes attempts narrow: texts are stored once each and compressed, rewards are packed, sums are kept."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from alembic import op

from storage.migrations.narrowing import catch_up, move_attempts, move_events, sum_up

revision = "0003"
down_revision = "0002"

_OLD_INDEXES = ("run_score", "run_solved", "task_number", "fingerprint")


def upgrade() -> None:
    for name in _OLD_INDEXES:
        op.drop_index(f"ix_attempts_{name}", "attempts")
    op.rename_table("attempts", "attempts_2")
    op.rename_table("events", "events_2")
    _create_texts()
    _create_followers()
    _create_attempts()
    _create_sums()
    _create_events()
    _create_search()
    _add_to_runs()
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    move_attempts(connection)
    move_events(connection)
    op.drop_table("attempts_2")
    op.drop_table("events_2")
    _create_indexes()
    sum_up(connection)
    catch_up(connection)


def _create_texts() -> None:
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("text", sa.Text(), nullable=False, unique=True),
    )
    op.create_table(
        "reward_schemas",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("names", sa.Text(), nullable=False, unique=True),
    )
    op.create_table(
        "dictionaries",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_ns", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "spare_dictionaries",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "bodies",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("dictionary", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )


def _create_followers() -> None:
    op.create_table(
        "positions",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "body_hashes",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("body_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fingerprints",
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "attempt_id"),
        sqlite_with_rowid=False,
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("group_no", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("arm_id", sa.Integer(), nullable=False),
        sa.Column("status_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("solved", sa.Boolean(), nullable=False),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("cpu_s", sa.Float(), nullable=False),
        sa.Column("wall_s", sa.Float(), nullable=False),
        sa.Column("max_rss_mb", sa.Float(), nullable=False),
        sa.Column("rung_id", sa.Integer(), nullable=False),
        sa.Column("engine_id", sa.Integer(), nullable=False),
        sa.Column("ts_ns", sa.Integer(), nullable=False),
        sa.Column("reward_schema_id", sa.Integer(), nullable=False),
        sa.Column("rewards", sa.LargeBinary(), nullable=False),
        sa.Column("exact", sa.LargeBinary(), nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.Column("logps", sa.LargeBinary(), nullable=False),
        sa.Column("cases", sa.LargeBinary(), nullable=False),
        sa.Column("code_id", sa.Integer(), nullable=False),
        sa.Column("stdout_id", sa.Integer(), nullable=False),
        sa.Column("stderr_id", sa.Integer(), nullable=False),
        sa.Column("violations_id", sa.Integer(), nullable=False),
        sa.Column("feedback_id", sa.Integer(), nullable=True),
    )


def _create_sums() -> None:
    op.create_table(
        "curves",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("stretch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("solved", sa.Integer(), nullable=False),
        sa.Column("score_sum", sa.Float(), nullable=False),
        sa.Column("score_max", sa.Float(), nullable=False),
        sa.Column("statuses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "stretch"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tallies",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("task_id", sa.Integer(), sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("status_id", sa.Integer(), nullable=False),
        sa.Column("solved", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "task_id", "status_id", "solved"),
        sqlite_with_rowid=False,
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("monotonic_ns", sa.Integer(), nullable=False),
        sa.Column("wall_ns", sa.Integer(), nullable=False),
        sa.Column("cause_seq", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "gaps",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("first_seq", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "first_seq"),
        sqlite_with_rowid=False,
    )


def _create_search() -> None:
    op.create_table(
        "searched_bodies",
        sa.Column("body_id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("attempt_id", sa.Integer(), nullable=False),
    )
    op.execute(
        "CREATE VIRTUAL TABLE program_search USING fts5(code, content='', columnsize=0, "
        "tokenize=\"unicode61 remove_diacritics 0 tokenchars '_$'\")"
    )


def _add_to_runs() -> None:
    op.add_column("runs", sa.Column("note", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("heartbeat_ns", sa.Integer(), nullable=True))
    op.add_column("checkpoints", sa.Column("seq", sa.Integer(), nullable=True))
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "tag"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_tags_tag", "run_tags", ["tag", "run_id"])


def _create_indexes() -> None:
    op.create_index("ix_attempts_run_number", "attempts", ["run_id", "number"], unique=True)
    op.create_index(
        "ix_attempts_run_score", "attempts", ["run_id", sa.text("score DESC"), sa.text("number DESC")]
    )
    op.create_index(
        "ix_attempts_run_solved", "attempts", ["run_id", "number"], sqlite_where=sa.text("solved = 1")
    )
    op.create_index("ix_attempts_task_number", "attempts", ["task_id", "number"])
