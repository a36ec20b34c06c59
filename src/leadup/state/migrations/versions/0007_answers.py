"""What vendors say of batches, how big audiences are, and which are being replaced"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("targets", sa.Column("size", sa.JSON(), nullable=True))
    op.add_column("targets", sa.Column("sized_us", sa.BigInteger(), nullable=True))
    op.add_column("targets", sa.Column("replacing_us", sa.BigInteger(), nullable=True))
    op.create_table(
        "answers",
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("progress", sa.String(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("unmatched", sa.JSON(), nullable=False),
        sa.Column("warned", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["targets.id"]),
        sa.PrimaryKeyConstraint("target", "handle"),
        sqlite_with_rowid=False,
    )
