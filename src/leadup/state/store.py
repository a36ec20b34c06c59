"""Opens the state, migrates it, and hands out transactions."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, create_mock_engine, event
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import ExecutableDDLElement

from leadup.errors import Busy, SettingsError
from leadup.state.tables import meta, metadata

T = TypeVar("T")
SALT = "salt"
"""The key of the state's salt in ``meta``."""
_WAIT_MS = 30_000
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
CHUNK = 10_000
"""Values in one ``IN (...)``: SQLite takes at most 32,766 variables in a statement (page "Implementation limits")."""


class Store:
    """The database, and the folder for what is kept beside it (event files, rejects, keys)."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self._local = threading.local()

    @property
    def rehearses(self) -> bool:
        """Whether this thread is in a :meth:`rehearsal`."""
        return getattr(self._local, "rehearsal", None) is not None

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Let this thread do all it would do, in one transaction that is taken back at the end.

        Every :meth:`write` and :meth:`read` within joins that transaction. Others may read, and wait to write.
        """
        with self.engine.connect() as connection:
            _begin(connection)
            self._local.rehearsal = connection
            try:
                yield
            finally:
                self._local.rehearsal = None
                connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write. It takes the write lock at once, so that what it reads stays true.

        Raises:
            Busy: another process has held the lock for longer than we wait (30 seconds).
        """
        rehearsal = getattr(self._local, "rehearsal", None)
        if rehearsal is not None:
            yield rehearsal
            return
        with self.engine.connect() as connection:
            _begin(connection)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; writers are not held up."""
        rehearsal = getattr(self._local, "rehearsal", None)
        if rehearsal is not None:
            yield rehearsal
            return
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def scrub(self) -> bool:
        """Empty the write-ahead log, which holds earlier contents of pages; return whether nobody stood in the way.

        What was deleted is overwritten by then, both in the log and in the file. Waits a second at most.
        """
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=1000")
            try:
                busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_WAIT_MS}")
        return not busy

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url: str, folder: Path) -> Store:
    """Open the state at ``url`` (``sqlite:///path``), create or migrate it.

    ``folder`` holds what lies beside the database; it is created when missing. ``sqlite://`` is a state in memory.

    Raises:
        SettingsError: the URL is not one of SQLite's.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(
            f"state.url is {parsed.render_as_string(hide_password=True)!r}, but this version keeps its state in SQLite "
            'only.\n  What to do: write e.g. url = "sqlite:///.leadup/state.db" under [state] in leadup.toml.'
        )
    in_memory = not parsed.database or parsed.database == ":memory:"
    folder.mkdir(parents=True, exist_ok=True)
    if not in_memory:
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **({"poolclass": StaticPool} if in_memory else {}))
    event.listen(engine, "connect", _tune)
    store = Store(engine, folder)
    if in_memory:
        with store.write() as connection:
            _create(connection)
            _salt(connection)
    else:
        migrate(store)
    return store


def migrate(store: Store) -> None:
    """Bring the tables to the newest version. Safe to call at each start, also from two processes at once.

    A new state gets the tables as they are now, and an older one by one migration after the other.
    """
    newest = max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    with store.read() as connection:
        if _version(connection) == newest:
            return
    with store.write() as connection:
        version = _version(connection)
        if version is None:
            _create(connection)
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (newest,))
        elif version != newest:
            _upgrade(connection)
        _salt(connection)


def _version(connection: Connection) -> str | None:
    """Return the state's version, as Alembic keeps it; None: it has no tables yet."""
    if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first():
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command  # 0.1 s, once after an update
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _create(connection: Connection) -> None:
    for statement in _schema():
        connection.exec_driver_sql(statement)


@cache
def _schema() -> Sequence[str]:
    """Return the statements that make the tables as they are now."""
    statements: list[str] = []

    def note(statement: ExecutableDDLElement, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("sqlite://", note)
    metadata.create_all(engine, checkfirst=False)
    return statements


def _salt(connection: Connection) -> None:
    """Give a new state its salt: which persons a holdout draws can not be told from outside, nor chosen by a name."""
    connection.execute(sqlite_insert(meta).values(key=SALT, value=secrets.token_hex(16)).on_conflict_do_nothing())


def _begin(connection: Connection) -> None:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", "") != "SQLITE_BUSY":
            raise
        raise Busy(
            "Another process has been writing to this state for longer than we wait.\n"
            "  What to do: try again when it is done; `leadup status` says which one works on it."
        ) from None


def _tune(dbapi_connection: Any, _: Any) -> None:
    dbapi_connection.isolation_level = None  # we say BEGIN ourselves
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={_WAIT_MS}")
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten: no free page tells of an erased person
    cursor.close()


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut values into lists of at most ``size``."""
    batch: list[T] = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, update: Sequence[str]) -> None:
    """Insert rows; where the primary key exists, overwrite the columns in ``update`` (none: keep what is there)."""
    if not rows:
        return
    statement = sqlite_insert(table)
    key = [column.name for column in table.primary_key]
    if update:
        done = statement.on_conflict_do_update(index_elements=key, set_={c: statement.excluded[c] for c in update})
    else:
        done = statement.on_conflict_do_nothing()
    connection.execute(done, list(rows))


def upsert_plain(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    update: Sequence[str],
) -> None:
    """As :func:`upsert`, several times as fast: for rows without JSON, each a sequence in the order of ``columns``."""
    if rows:
        statement = sqlite_insert(table)
        key = [column.name for column in table.primary_key]
        done = statement.on_conflict_do_update(index_elements=key, set_={c: statement.excluded[c] for c in update})
        compiled = done.compile(dialect=connection.dialect, column_keys=list(columns))
        place = [columns.index(name) for name in compiled.positiontup or ()]
        given = [tuple(row[at] for at in place) for row in rows]
        connection.exec_driver_sql(str(compiled), given)
