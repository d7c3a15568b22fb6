"""A terminal says which bridge it hangs on: while that is away its own silence says nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: nobody hangs on anything until it says so."""
    op.add_column("terminal", sa.Column("via", sa.String(), nullable=False, server_default=""))
    op.create_index(
        "ix_terminal_via", "terminal", ["via"],
        sqlite_where=sa.text("via != ''"), postgresql_where=sa.text("via != ''"),
    )  # fmt: skip


def downgrade() -> None:
    """One step down: each is judged alone."""
    op.drop_index("ix_terminal_via", "terminal")
    with op.batch_alter_table("terminal") as batch_op:
        batch_op.drop_column("via")
