"""Up to where no row of a source comes late"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("final_us", sa.BigInteger(), nullable=True))
