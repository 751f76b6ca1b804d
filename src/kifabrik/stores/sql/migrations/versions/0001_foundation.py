"""Tenants, logs, statements, objects, datasets, key requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "codes",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=128), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_codes")),
    )
    op.create_table(
        "deletions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.String(length=128), nullable=False),
        sa.Column("until", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_deletions")),
    )
    op.create_table(
        "erasures",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("certificate", sa.String(length=64), nullable=False),
        sa.Column("objects_deleted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "dataset", name=op.f("pk_erasures")),
    )
    op.create_table(
        "grants",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("grant_id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("revoked", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "grant_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_tenant_dataset"), "grants", ["tenant", "dataset"], unique=False)
    op.create_table(
        "key_requests",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("decision", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_key_requests")),
    )
    op.create_index(op.f("ix_key_requests_tenant_run"), "key_requests", ["tenant", "run"], unique=False)
    op.create_table(
        "lease_headers",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "request", "item", name=op.f("pk_lease_headers")),
    )
    op.create_table(
        "log_details",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_log_details")),
    )
    op.create_table(
        "log_entries",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "position", name=op.f("pk_log_entries")),
    )
    op.create_table(
        "log_nodes",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "level", "position", name=op.f("pk_log_nodes")),
    )
    op.create_table(
        "logs",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("vkey", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("tree", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("cosigned_size", sa.BigInteger(), nullable=False),
        sa.Column("cosigned", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_logs")),
    )
    op.create_table(
        "mail",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_mail")),
    )
    op.create_table(
        "members",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=128), nullable=False),
        sa.Column("membership", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("removed", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "member", name=op.f("pk_members")),
    )
    op.create_table(
        "objects",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_objects")),
    )
    op.create_table(
        "statements",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_statements")),
    )
    op.create_table(
        "tenants",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("tenant_key", sa.String(length=64), nullable=False),
        sa.Column("keyholder", sa.String(length=64), nullable=False),
        sa.Column("keyholder_sequence", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("recipients", sa.String(length=64), nullable=False),
        sa.Column("recipients_sequence", sa.BigInteger(), nullable=False),
        sa.Column("bytes_used", sa.BigInteger(), nullable=False),
        sa.Column("keyholder_seen", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_tenants")),
    )
    op.create_table(
        "tokens",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("member", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("used", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_tokens")),
    )
    op.create_index(
        op.f("ix_tokens_tenant_kind_member_attempt"),
        "tokens",
        ["tenant", "kind", "member", "attempt"],
        unique=False,
    )
    op.create_table(
        "uploads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_uploads")),
    )
    op.create_index(op.f("ix_uploads_touched"), "uploads", ["touched"], unique=False)
    op.create_table(
        "version_objects",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "manifest", "digest", name=op.f("pk_version_objects")),
    )
    op.create_index(op.f("ix_version_objects_tenant_digest"), "version_objects", ["tenant", "digest"], unique=False)
    op.create_table(
        "versions",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.String(length=64), nullable=False),
        sa.Column("shards", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.String(length=20), nullable=False),
        sa.Column("erased", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner", "version", name=op.f("pk_versions")),
    )
    op.create_index(op.f("ix_versions_tenant_manifest"), "versions", ["tenant", "manifest"], unique=True)
