"""Since when an object has stood on no record, and what small ones count.

What is there already has its whole time before it.
"""

import sqlalchemy as sa
from alembic import op

from kifabrik.values import format_time, now_utc

revision = "0008"
down_revision = "0007"

_UNUSED = """
UPDATE objects SET unused_since = :now WHERE NOT EXISTS (
    SELECT 1 FROM version_objects JOIN versions
        ON versions.tenant = version_objects.tenant AND versions.manifest = version_objects.manifest
    WHERE version_objects.tenant = objects.tenant AND version_objects.digest = objects.digest
        AND versions.erased = ''
)
"""

# A step of its own, from the logs to the objects: no index finds the segment that has an object, and a search of
# all segments for every object took minutes for 20,000 of them.
_LOGGED = """
UPDATE objects SET unused_since = '' WHERE (tenant, digest) IN (
    SELECT tenant, sha256 FROM log_segments WHERE body IS NULL
)
"""

_COUNT = """
UPDATE tenants SET bytes_used = (
    SELECT COALESCE(SUM(CASE WHEN size < 4096 THEN 4096 ELSE size END), 0) FROM (
        SELECT tenant, size FROM objects
        UNION ALL SELECT tenant, size FROM uploads
        UNION ALL SELECT tenant, size FROM deletions
    ) AS kept
    WHERE kept.tenant = tenants.tenant
)
"""


def upgrade() -> None:
    """Make the step."""
    op.add_column("objects", sa.Column("unused_since", sa.String(20), nullable=False, server_default=""))
    op.create_index(op.f("ix_objects_unused_since_tenant"), "objects", ["unused_since", "tenant"])
    op.execute(sa.text(_UNUSED).bindparams(now=format_time(now_utc())))
    op.execute(_LOGGED)
    op.execute(_COUNT)
