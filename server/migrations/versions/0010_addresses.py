"""The address that is read out to 120: of the community, and of houses on another road."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = [(t, c) for t in ("community", "building") for c in ("address", "address_en")]


def upgrade() -> None:
    """One step up; until staff fill them in, the desk is told that an address is missing."""
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """One step down; the addresses go with it."""
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column)
