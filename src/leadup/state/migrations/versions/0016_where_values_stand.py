"""Values of which nobody noted at which record they stand are sent once more, and that is noted then"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        UPDATE standings SET standing = 'possible', stands = NULL, open = 1
        WHERE remote IS NULL AND stands IS NOT NULL AND json_extract(want, '$.v') IS NOT NULL
          AND target IN (SELECT id FROM targets WHERE use = 'property')
        """
    )
