"""sight: canaries, blind intervals, parents' facts, battery days"""

import sqlalchemy as sa
from alembic import op


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """sight: forwards."""
    with op.batch_alter_table('resident', schema=None) as batch_op:
        batch_op.drop_index('ix_resident_due', sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"))
        batch_op.create_index('ix_resident_due', ['next_due_at', 'building_id'], unique=False, sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"))

    with op.batch_alter_table('gateway', schema=None) as batch_op:
        batch_op.add_column(sa.Column('canary_every_s', sa.Float(), nullable=True))
        batch_op.add_column(sa.Column('canary_sos_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('canary_bulk_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('canary_returned_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('canary_rtt_ms', sa.Integer(), nullable=True))

    with op.batch_alter_table('terminal', schema=None) as batch_op:
        batch_op.add_column(sa.Column('lost_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('mains_lost_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('mains_due_at', sa.BigInteger(), nullable=True))
        batch_op.create_index('ix_terminal_mains_due', ['mains_due_at'], unique=False, sqlite_where=sa.text('mains_due_at IS NOT NULL'), postgresql_where=sa.text('mains_due_at IS NOT NULL'))

    op.create_table('blind_interval',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('current', sa.Integer(), nullable=True),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('drained_at', sa.BigInteger(), nullable=True),
    sa.Column('parts', sa.JSON(), nullable=False),
    sa.Column('told_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('current')
    )

    op.create_table('battery_day',
    sa.Column('terminal_id', sa.String(length=32), nullable=False),
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('mains', sa.Boolean(), nullable=True),
    sa.Column('rssi', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['terminal_id'], ['terminal.id'], ),
    sa.PrimaryKeyConstraint('terminal_id', 'day')
    )
    op.create_table('chore',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('after', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('name')
    )


def downgrade() -> None:
    """sight: back."""
    with op.batch_alter_table('resident', schema=None) as batch_op:
        batch_op.drop_index('ix_resident_due', sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"))
        batch_op.create_index('ix_resident_due', ['next_due_at'], unique=False, sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"))

    op.drop_table('chore')
    op.drop_table('battery_day')
    op.drop_table('blind_interval')
    with op.batch_alter_table('terminal', schema=None) as batch_op:
        batch_op.drop_index('ix_terminal_mains_due', sqlite_where=sa.text('mains_due_at IS NOT NULL'), postgresql_where=sa.text('mains_due_at IS NOT NULL'))
        batch_op.drop_column('mains_due_at')
        batch_op.drop_column('mains_lost_at')
        batch_op.drop_column('lost_at')
    with op.batch_alter_table('gateway', schema=None) as batch_op:
        batch_op.drop_column('canary_rtt_ms')
        batch_op.drop_column('canary_returned_at')
        batch_op.drop_column('canary_bulk_at')
        batch_op.drop_column('canary_sos_at')
        batch_op.drop_column('canary_every_s')
