"""Buildings of a rehearsal, and terminals that are simulated."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: everything that is there is real."""
    for table, column in (("building", "rehearsal"), ("terminal", "simulated")):
        op.add_column(
            table, sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    """One step down. Whoever goes on without these columns would be called for a rehearsal's
    terminals: what is simulated is revoked and ended first."""
    op.execute(sa.text("UPDATE terminal SET state = 'revoked' WHERE simulated"))
    op.execute(
        sa.text(
            "UPDATE resident SET state = 'ended', next_due_at = NULL WHERE building_id IN"
            " (SELECT id FROM building WHERE rehearsal)"
        )
    )
    for table, column in (("building", "rehearsal"), ("terminal", "simulated")):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column(column)
