"""Runs, their history and locks; attempts and their logs."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

runs = Table(
    "runs",
    metadata,
    ident("tenant"),
    ident("run"),
    number("position"),
    ident("member"),
    word("purpose"),
    digest("order"),
    word("nonce"),
    digest("code"),
    digest("lock"),
    Column("resources", Text, nullable=False),
    Column("place", Text, nullable=False),
    word("python"),
    number("staged_bytes"),
    number("streamed_bytes"),
    number("priority"),
    number("outputs"),
    number("attempts"),
    Column("retry_on", Text, nullable=False),
    number("max_duration_s"),
    number("cap_s"),
    number("rate_micro_eur"),
    number("budget_micro_eur"),
    number("most_micro_eur"),
    moment("created"),
    moment("deadline"),
    word("state"),
    Column("reason", Text, nullable=False),
    number("revision"),
    moment("finished"),
    word("stop"),
    moment("alarmed"),
    Column("promise", Text, nullable=False),
    Column("published", Text, nullable=False),
    Column("footprint", Text, nullable=False),
    Column("slurm", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "run"),
    Index(None, "tenant", "order", unique=True),
    Index(None, "tenant", "nonce", unique=True),
    Index(None, "tenant", "position", unique=True),
    Index(None, "finished", "tenant"),
)

events = Table(
    "run_events",
    metadata,
    ident("tenant"),
    ident("run"),
    number("number"),
    moment("at"),
    word("state"),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "run", "number"),
)

locks = Table(
    "locks",
    metadata,
    ident("tenant"),
    digest("digest"),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "digest"),
)

attempts = Table(
    "attempts",
    metadata,
    ident("tenant"),
    ident("attempt"),
    ident("run"),
    number("number"),
    Column("placement", Text, nullable=False),
    Column("place", Text, nullable=False),
    number("cap_s"),
    moment("created"),
    word("state"),
    number("submits"),
    moment("taken"),
    moment("running"),
    word("outcome"),
    Column("exit_status", Integer, nullable=True),
    moment("finished"),
    digest("run_key"),
    digest("lease"),
    digest("stream"),
    number("segments"),
    digest("tail"),
    number("log_bytes"),
    digest("checkpoint"),
    Column("outputs", Text, nullable=False),
    digest("finish"),
    digest("provenance"),
    Column("reading", Text, nullable=False),
    Column("other_readings", Text, nullable=False),
    Column("stream_header", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "attempt"),
    Index(None, "tenant", "run"),
    Index(None, "finished"),
    Index(None, "attempt"),
)

segments = Table(
    "log_segments",
    metadata,
    ident("tenant"),
    ident("attempt"),
    number("rank"),
    number("number"),
    Column("statement", Text, nullable=False),
    digest("sha256"),
    number("size"),
    Column("body", LargeBinary, nullable=True),
    PrimaryKeyConstraint("tenant", "attempt", "rank", "number"),
)

rank_logs = Table(
    "rank_logs",
    metadata,
    ident("tenant"),
    ident("attempt"),
    number("rank"),
    digest("stream"),
    number("segments"),
    digest("tail"),
    number("log_bytes"),
    Column("header", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "attempt", "rank"),
)
"""The logs of an attempt's nodes but the first, whose log stands with the attempt."""

notes = Table(
    "attempt_notes",
    metadata,
    ident("tenant"),
    ident("attempt"),
    word("stage"),
    number("rank"),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "attempt", "stage", "rank"),
)

nodes = Table(
    "nodes",
    metadata,
    ident("node", primary_key=True),
    word("name", unique=True),
    digest("key", unique=True),
    Column("place", Text, nullable=False),
    number("cpus"),
    number("memory_bytes"),
    Column("gpus", Text, nullable=False),
    Column("pythons", Text, nullable=False),
    moment("created"),
    Column("enabled", Boolean, nullable=False),
    Column("streams", Boolean, nullable=False),
    number("free_cpus"),
    number("free_memory_bytes"),
    number("free_gpus"),
)
"""`free_gpus` is a set of GPU indices, one bit each."""

leaders = Table(
    "leaders",
    metadata,
    word("name", primary_key=True),
    word("holder"),
    number("token"),
    moment("until"),
)

limits = Table(
    "tenant_limits",
    metadata,
    ident("tenant", primary_key=True),
    number("most_runs"),
    number("most_cpus"),
    number("most_gpus"),
    number("month_micro_eur"),
    Column("weight", Float, nullable=False),
)

usage = Table(
    "tenant_usage",
    metadata,
    ident("tenant", primary_key=True),
    Column("recent_micro_eur", Float, nullable=False),
    moment("at"),
    word("month"),
    number("month_micro_eur"),
)
