"""Keeps with an attempt what the tools said about it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("feedback", sa.Text(), nullable=True))
