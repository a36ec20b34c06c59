"""Leaves that vendors refused are sent again"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        UPDATE standings SET open = 1
        WHERE want IS NULL AND NOT open AND standing IN ('possible', 'present')
          AND target IN (SELECT id FROM targets WHERE use = 'audience')
        """
    )
