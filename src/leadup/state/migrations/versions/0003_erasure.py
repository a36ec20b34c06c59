"""Erasure of persons"""

from alembic import op
import sqlalchemy as sa

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.add_column('sources', sa.Column('suppressed', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
    op.create_table('erasures',
    sa.Column('id', _ID, nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('asked_us', sa.BigInteger(), nullable=False),
    sa.Column('asked_by', sa.String(), nullable=False),
    sa.Column('inbox_until', sa.BigInteger(), nullable=False),
    sa.Column('done_us', sa.BigInteger(), nullable=True),
    sa.Column('lifted_us', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_table('erased_persons',
    sa.Column('person', _ID, nullable=False),
    sa.Column('erasure', _ID, nullable=False),
    sa.ForeignKeyConstraint(['erasure'], ['erasures.id'], ),
    sa.PrimaryKeyConstraint('person')
    )
    op.create_table('erased_events',
    sa.Column('erasure', _ID, nullable=False),
    sa.Column('key', sa.LargeBinary(length=16), nullable=False),
    sa.ForeignKeyConstraint(['erasure'], ['erasures.id'], ),
    sa.PrimaryKeyConstraint('erasure', 'key'),
    sqlite_with_rowid=False
    )
    op.create_table('erasure_targets',
    sa.Column('erasure', _ID, nullable=False),
    sa.Column('target', _ID, nullable=False),
    sa.Column('confirmed_us', sa.BigInteger(), nullable=True),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['erasure'], ['erasures.id'], ),
    sa.ForeignKeyConstraint(['target'], ['targets.id'], ),
    sa.PrimaryKeyConstraint('erasure', 'target'),
    sqlite_with_rowid=False
    )
    op.create_table('suppressed',
    sa.Column('hash', sa.LargeBinary(length=16), nullable=False),
    sa.Column('erasure', _ID, nullable=False),
    sa.Column('from_us', sa.BigInteger(), nullable=False),
    sa.Column('until_us', sa.BigInteger(), nullable=False),
    sa.Column('anywhere', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['erasure'], ['erasures.id'], ),
    sa.PrimaryKeyConstraint('hash', 'erasure', 'from_us'),
    sqlite_with_rowid=False
    )
