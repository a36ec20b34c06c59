"""Episodes of ladders, and when the click of a conversion was"""

from alembic import op
import sqlalchemy as sa

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('conversions') as batch:
        batch.add_column(sa.Column('click_us', sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column('episode', sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('conversions') as batch:
        batch.drop_column('episode')
        batch.drop_column('click_us')
