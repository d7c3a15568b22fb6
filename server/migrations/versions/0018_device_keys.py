"""Passwords of terminals have versions, and one may be on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: everybody uses the password from setting up."""
    op.add_column("terminal", sa.Column("key_v", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("terminal", sa.Column("key_next", sa.Integer(), nullable=True))
    op.add_column("terminal", sa.Column("key_state", sa.String(), nullable=True))
    op.add_column("terminal", sa.Column("key_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """One step down. A terminal that has changed its password has to be set up anew."""
    for column in ("key_at", "key_state", "key_next", "key_v"):
        with op.batch_alter_table("terminal") as batch_op:
            batch_op.drop_column(column)
