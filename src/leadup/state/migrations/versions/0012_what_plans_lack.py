"""What vendors' plans do not offer for a target"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("targets", sa.Column("lacks", sa.Text))
