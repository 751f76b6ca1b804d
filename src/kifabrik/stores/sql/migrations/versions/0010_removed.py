"""What was removed, when and why, so that what comes again afterwards is known and removed, too."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the step."""
    op.add_column("deletions", sa.Column("why", sa.String(128), nullable=False, server_default=""))
    op.create_table(
        "removed_objects",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("why", sa.String(length=128), nullable=False),
        sa.Column("removed", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_removed_objects")),
    )
    op.create_index(op.f("ix_removed_objects_removed"), "removed_objects", ["removed"], unique=False)
