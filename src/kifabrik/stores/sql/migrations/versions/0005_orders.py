"""Orders that cover several runs, and wait for each other."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_KEPT = 'tenant, "order", run, position, nonce, budget_micro_eur, created, alarmed'


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "orders",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("order", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.String(length=128), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.Column("max_parallel", sa.BigInteger(), nullable=False),
        sa.Column("budget_micro_eur", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("stopped", sa.String(length=20), nullable=False),
        sa.Column("alarmed", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "order", name=op.f("pk_orders")),
    )
    op.create_index(op.f("ix_orders_tenant_run"), "orders", ["tenant", "run"], unique=True)
    op.create_index(op.f("ix_orders_tenant_nonce"), "orders", ["tenant", "nonce"], unique=True)
    op.create_index(op.f("ix_orders_tenant_position"), "orders", ["tenant", "position"], unique=True)
    op.create_table(
        "order_needs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("need", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", "need", name=op.f("pk_order_needs")),
    )
    op.create_index(op.f("ix_order_needs_tenant_need"), "order_needs", ["tenant", "need"], unique=False)
    op.execute(
        f"INSERT INTO orders ({_KEPT}, tasks, max_parallel, stopped) SELECT {_KEPT}, 0, 0, '' FROM runs"  # noqa: S608
    )
    op.drop_index(op.f("ix_runs_tenant_nonce"), table_name="runs")
    op.drop_index(op.f("ix_runs_tenant_order"), table_name="runs")
    op.drop_column("runs", "nonce")
    op.add_column("runs", sa.Column("sweep", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("hold", sa.String(length=128), nullable=False, server_default=""))
    op.create_index(op.f("ix_runs_tenant_sweep_state"), "runs", ["tenant", "sweep", "state"], unique=False)
    op.create_index(
        op.f("ix_runs_finished_state_hold_tenant_priority_position"),
        "runs",
        ["finished", "state", "hold", "tenant", "priority", "position"],
        unique=False,
    )
    op.create_index(op.f("ix_runs_finished_deadline"), "runs", ["finished", "deadline"], unique=False)
