"""Data that is streamed, and nodes that can."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the step."""
    op.add_column("runs", sa.Column("streamed_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("nodes", sa.Column("streams", sa.Boolean(), nullable=False, server_default=sa.false()))
