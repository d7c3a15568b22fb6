"""Consents; and residents of whom only figures are left live behind no door."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0018"
branch_labels = None
depends_on = None

DOORS = ("resident", "alert_item")


def _doors(*, nullable: bool) -> None:
    for table in DOORS:
        with op.batch_alter_table(table) as batch:
            batch.alter_column("flat_id", existing_type=sa.Integer(), nullable=nullable)


def upgrade() -> None:
    """One step up."""
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("resident_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    standing = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "ux_consent_standing", "consent", ["resident_id", "purpose"], unique=True,
        sqlite_where=standing, postgresql_where=standing,
    )
    _doors(nullable=True)


def downgrade() -> None:
    """One step down; consents are lost, and whoever was erased stands behind the first door of
    their building, without a name: make a backup first."""
    op.execute(
        "UPDATE resident SET flat_id = (SELECT min(flat.id) FROM flat"
        " WHERE flat.building_id = resident.building_id) WHERE flat_id IS NULL"
    )
    op.execute(
        "UPDATE alert_item SET flat_id = (SELECT resident.flat_id FROM resident"
        " WHERE resident.id = alert_item.resident_id) WHERE flat_id IS NULL"
    )
    _doors(nullable=False)
    op.drop_index("ux_consent_standing", table_name="consent")
    op.drop_table("consent")
