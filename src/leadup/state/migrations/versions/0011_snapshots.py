"""What sources told of people as they stand"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshots",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("anchor", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["anchor"], ["identifiers.id"]),
        sqlite_with_rowid=False,
    )
    op.create_index("snapshots_anchor", "snapshots", ["anchor"])
