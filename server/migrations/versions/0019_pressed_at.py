"""An alert knows when its key was pressed: the clock of 15 minutes runs from there."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: of the alerts there are, their opening stands for the press."""
    op.add_column("alert", sa.Column("pressed_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """One step down: the clock runs from the opening."""
    with op.batch_alter_table("alert") as batch_op:
        batch_op.drop_column("pressed_at")
