"""An alert remembers who can't go, and when its stewards last heard that its list grew shorter."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: of the alerts that are open nothing is remembered; at worst it is said twice."""
    op.add_column(
        "alert", sa.Column("declined", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    )
    op.add_column("alert", sa.Column("news_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """One step down: it is forgotten."""
    with op.batch_alter_table("alert") as batch_op:
        batch_op.drop_column("news_at")
        batch_op.drop_column("declined")
