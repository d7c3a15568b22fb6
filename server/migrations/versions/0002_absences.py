"""absences"""

import sqlalchemy as sa
from alembic import op


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """absences: forwards."""
    with op.batch_alter_table('assignment', schema=None) as batch_op:
        batch_op.add_column(sa.Column('absent_until', sa.BigInteger(), nullable=True))
        batch_op.create_index('ix_assignment_duty', ['community_id'], unique=False, sqlite_where=sa.text("role = 'duty'"), postgresql_where=sa.text("role = 'duty'"))

    with op.batch_alter_table('resident', schema=None) as batch_op:
        batch_op.add_column(sa.Column('absent_until', sa.BigInteger(), nullable=True))
        batch_op.create_index('ix_resident_back', ['absent_until'], unique=False, sqlite_where=sa.text("state = 'paused'"), postgresql_where=sa.text("state = 'paused'"))


def downgrade() -> None:
    """absences: back."""
    with op.batch_alter_table('resident', schema=None) as batch_op:
        batch_op.drop_index('ix_resident_back', sqlite_where=sa.text("state = 'paused'"), postgresql_where=sa.text("state = 'paused'"))
        batch_op.drop_column('absent_until')

    with op.batch_alter_table('assignment', schema=None) as batch_op:
        batch_op.drop_index('ix_assignment_duty', sqlite_where=sa.text("role = 'duty'"), postgresql_where=sa.text("role = 'duty'"))
        batch_op.drop_column('absent_until')
