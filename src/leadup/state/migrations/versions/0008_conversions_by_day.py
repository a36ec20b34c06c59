"""Conversions by the day on which they happened"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("conversions_opened", "conversions", ["name", "opened_us"])
