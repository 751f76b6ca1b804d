"""Until when a run may wait for a better hour of the plant."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the step."""
    op.add_column("runs", sa.Column("flexible_until", sa.String(20), nullable=False, server_default=""))
