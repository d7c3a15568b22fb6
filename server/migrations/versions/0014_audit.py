"""Who saw and did what, in a chain of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up. What the journal tells of earlier acts stays in the journal."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("position"),
    )
    op.create_index(
        "ix_audit_unsealed", "audit", ["id"],
        sqlite_where=sa.text("position IS NULL"), postgresql_where=sa.text("position IS NULL"),
    )


def downgrade() -> None:
    """One step down; the audit is lost: make a backup first."""
    op.drop_index("ix_audit_unsealed", table_name="audit")
    op.drop_table("audit")
