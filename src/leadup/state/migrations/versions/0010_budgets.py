"""Vendors' calls of the day"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("connection", sa.String, primary_key=True),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("limit", sa.BigInteger),
        sa.Column("left", sa.BigInteger, nullable=False),
        sa.Column("zone", sa.String, nullable=False),
        sa.Column("told_us", sa.BigInteger, nullable=False),
        sa.Column("ends_us", sa.BigInteger, nullable=False),
        sa.Column("noticed_us", sa.BigInteger),
    )
