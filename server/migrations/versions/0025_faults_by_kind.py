"""Faults have indexes of their own: in a city's round they were looked for among all worklists."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ANY, OPEN = sa.text("fault IS NOT NULL"), sa.text("fault IS NOT NULL AND state <> 'resolved'")


def upgrade() -> None:
    """One step up."""
    op.create_index(
        "ix_alert_fault_open", "alert", ["fault"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index(
        "ix_alert_fault", "alert", ["fault", "opened_at"], sqlite_where=ANY, postgresql_where=ANY
    )


def downgrade() -> None:
    """One step down."""
    op.drop_index("ix_alert_fault", "alert")
    op.drop_index("ix_alert_fault_open", "alert")
