"""The state: SQLAlchemy Core over SQLite (WAL), migrated by Alembic."""

from leadup.state.store import Store, open_store

__all__ = ["Store", "open_store"]
