"""Rows in SQLite (one machine) or PostgreSQL (several), through SQLAlchemy Core.

Invariants:
- the primary key of every table begins with the tenant, or its rows are known by a secret's hash;
- the writers of one tenant take turns: SQLite has one writer at all, PostgreSQL locks the tenant's log row;
- rows come out as frozen records of `kifabrik.factory.records`; no SQL leaves this package.
"""
