"""What a terminal was told of an alert and has not answered is found when it comes online."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UNHEARD = sa.text("result = 'published' AND alert_id IS NOT NULL")


def upgrade() -> None:
    """One step up: an index of these alone."""
    op.create_index(
        "ix_command_unheard", "command", ["terminal_id"],
        sqlite_where=UNHEARD, postgresql_where=UNHEARD,
    )  # fmt: skip


def downgrade() -> None:
    """One step down: nobody asks for them."""
    op.drop_index("ix_command_unheard", "command")
