"""What a run asks of a Slurm cluster."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the step."""
    op.add_column("runs", sa.Column("slurm", sa.Text(), nullable=False, server_default="{}"))
