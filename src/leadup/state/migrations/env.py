"""Alembic's entry: migrates within the transaction that ``leadup.state.store.migrate`` opened."""

from alembic import context

from leadup.state.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
