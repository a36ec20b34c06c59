"""Number the signals, and name the files that hold them in columns"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_index("signals_anchor", "signals")
    op.drop_index("signals_pattern", "signals")
    op.rename_table("signals", "unnumbered")
    op.create_table(
        "signals",
        sa.Column("event", sa.LargeBinary(length=16), nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("anchor", _ID, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("click_ids", sa.JSON(), nullable=False),
        sa.Column("consent", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["anchor"], ["identifiers.id"]),
        sa.PrimaryKeyConstraint("event", "pattern"),
        sqlite_with_rowid=False,
    )
    columns = "event, pattern, anchor, at_us, minor, currency, properties, click_ids, consent"
    op.execute(
        f"INSERT INTO signals (number, {columns}) SELECT row_number() OVER (ORDER BY event, pattern), {columns}"
        " FROM unnumbered"
    )
    op.execute("INSERT INTO meta (key, value) SELECT 'signals', coalesce(max(number), 0) FROM signals")
    op.drop_table("unnumbered")
    op.create_index("signals_anchor", "signals", ["anchor", "number"], unique=False)
    op.create_index("signals_pattern", "signals", ["pattern", "number"], unique=False)
    op.create_table(
        "signal_files",
        sa.Column("id", _ID, nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    op.create_table(
        "signal_gone",
        sa.Column("anchor", _ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("anchor", "number"),
        sqlite_with_rowid=False,
    )
