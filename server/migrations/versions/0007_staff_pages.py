"""The staff's pages ask what happened behind one door, and when somebody last wrote to us."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up."""
    op.create_index(
        "ix_journal_flat", "journal", ["flat_id", "seq"],
        sqlite_where=sa.text("kind <> 'signal'"),
        postgresql_where=sa.text("kind <> 'signal'"),
    )  # fmt: skip
    op.create_index("ix_inbound_person", "inbound", ["person_id", "received_at"])


def downgrade() -> None:
    """One step down."""
    op.drop_index("ix_inbound_person", "inbound")
    op.drop_index("ix_journal_flat", "journal")
