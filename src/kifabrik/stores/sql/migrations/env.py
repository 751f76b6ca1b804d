"""What Alembic runs: the steps on the connection it is given, in that connection's one transaction."""

from alembic import context

from kifabrik.stores.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
