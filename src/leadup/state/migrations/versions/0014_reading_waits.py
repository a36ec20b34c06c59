"""Sources that wait for their vendor's next day"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("waits_us", sa.BigInteger))
    op.add_column("sources", sa.Column("waits", sa.Text))
