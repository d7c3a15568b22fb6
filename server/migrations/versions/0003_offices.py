"""Street and district stand above the care centre: one index for all three desks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up."""
    with op.batch_alter_table("assignment") as batch_op:
        batch_op.drop_index("ix_assignment_duty")
        batch_op.create_index(
            "ix_assignment_office", ["community_id"],
            sqlite_where=sa.text("community_id IS NOT NULL"),
            postgresql_where=sa.text("community_id IS NOT NULL"),
        )  # fmt: skip


def downgrade() -> None:
    """One step down; the roles that 0002 does not know go with it."""
    op.execute("DELETE FROM assignment WHERE role IN ('befriender', 'family', 'street', 'district')")
    with op.batch_alter_table("assignment") as batch_op:
        batch_op.drop_index("ix_assignment_office")
        batch_op.create_index(
            "ix_assignment_duty", ["community_id"],
            sqlite_where=sa.text("role = 'duty'"),
            postgresql_where=sa.text("role = 'duty'"),
        )  # fmt: skip
