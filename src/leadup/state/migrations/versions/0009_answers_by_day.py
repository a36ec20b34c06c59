"""Vendors' answers by the day on which they came"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("answers_told", "answers", ["target", "at_us"])
