"""How long a contact has stood behind no target, so that they are erased in time."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up: nobody's time has begun yet; the first clearing begins it."""
    op.add_column("person", sa.Column("roleless_since", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """One step down: erased by hand alone."""
    with op.batch_alter_table("person") as batch_op:
        batch_op.drop_column("roleless_since")
