"""Runs, attempts, their logs, nodes, limits and usage."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "attempts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("cap_s", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("submits", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.String(length=20), nullable=False),
        sa.Column("running", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=128), nullable=False),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("finished", sa.String(length=20), nullable=False),
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.Column("lease", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.Column("tail", sa.String(length=64), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.String(length=64), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("finish", sa.String(length=64), nullable=False),
        sa.Column("provenance", sa.String(length=64), nullable=False),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.Column("stream_header", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "attempt", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_attempt"), "attempts", ["attempt"], unique=False)
    op.create_index(op.f("ix_attempts_finished"), "attempts", ["finished"], unique=False)
    op.create_index(op.f("ix_attempts_tenant_run"), "attempts", ["tenant", "run"], unique=False)
    op.create_table(
        "leaders",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leaders")),
    )
    op.create_table(
        "locks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_locks")),
    )
    op.create_table(
        "log_segments",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "attempt", "number", name=op.f("pk_log_segments")),
    )
    op.create_table(
        "nodes",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("cpus", sa.BigInteger(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.Text(), nullable=False),
        sa.Column("pythons", sa.Text(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("free_cpus", sa.BigInteger(), nullable=False),
        sa.Column("free_memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("free_gpus", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_nodes")),
        sa.UniqueConstraint("key"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "run_events",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", "number", name=op.f("pk_run_events")),
    )
    op.create_table(
        "runs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=128), nullable=False),
        sa.Column("order", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=128), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("lock", sa.String(length=64), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("python", sa.String(length=128), nullable=False),
        sa.Column("staged_bytes", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("outputs", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("retry_on", sa.Text(), nullable=False),
        sa.Column("max_duration_s", sa.BigInteger(), nullable=False),
        sa.Column("cap_s", sa.BigInteger(), nullable=False),
        sa.Column("rate_micro_eur", sa.BigInteger(), nullable=False),
        sa.Column("budget_micro_eur", sa.BigInteger(), nullable=False),
        sa.Column("most_micro_eur", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("deadline", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("finished", sa.String(length=20), nullable=False),
        sa.Column("stop", sa.String(length=128), nullable=False),
        sa.Column("alarmed", sa.String(length=20), nullable=False),
        sa.Column("promise", sa.Text(), nullable=False),
        sa.Column("published", sa.Text(), nullable=False),
        sa.Column("footprint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_finished_tenant"), "runs", ["finished", "tenant"], unique=False)
    op.create_index(op.f("ix_runs_tenant_nonce"), "runs", ["tenant", "nonce"], unique=True)
    op.create_index(op.f("ix_runs_tenant_order"), "runs", ["tenant", "order"], unique=True)
    op.create_index(op.f("ix_runs_tenant_position"), "runs", ["tenant", "position"], unique=True)
    op.create_table(
        "tenant_limits",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("most_runs", sa.BigInteger(), nullable=False),
        sa.Column("most_cpus", sa.BigInteger(), nullable=False),
        sa.Column("most_gpus", sa.BigInteger(), nullable=False),
        sa.Column("month_micro_eur", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_tenant_limits")),
    )
    op.create_table(
        "tenant_usage",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("recent_micro_eur", sa.Float(), nullable=False),
        sa.Column("at", sa.String(length=20), nullable=False),
        sa.Column("month", sa.String(length=128), nullable=False),
        sa.Column("month_micro_eur", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_tenant_usage")),
    )
