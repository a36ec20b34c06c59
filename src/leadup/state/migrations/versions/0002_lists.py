"""Lists of known people"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "listed",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", "list"),
        sqlite_with_rowid=False,
    )
    op.create_index("listed_list", "listed", ["list"], unique=False)
