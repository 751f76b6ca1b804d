"""Alembic's steps from schema to schema; numbered, never changed once released."""
