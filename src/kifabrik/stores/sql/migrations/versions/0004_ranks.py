"""Attempts on several nodes: what their launchers leave for each other, and a log for each node."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "attempt_notes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=128), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "attempt", "stage", "rank", name=op.f("pk_attempt_notes")),
    )
    op.create_table(
        "rank_logs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.Column("tail", sa.String(length=64), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "attempt", "rank", name=op.f("pk_rank_logs")),
    )
    op.add_column("attempts", sa.Column("other_readings", sa.Text(), nullable=False, server_default="[]"))
    with op.batch_alter_table("log_segments") as batch:
        batch.add_column(sa.Column("rank", sa.BigInteger(), nullable=False, server_default="0"))
        batch.drop_constraint("pk_log_segments", type_="primary")
        batch.create_primary_key("pk_log_segments", ["tenant", "attempt", "rank", "number"])
