"""Calls: a message may be for a resident; which provider was asked, and since when it was tried."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FOR_RESIDENTS = sa.text("resident_id IS NOT NULL")


def upgrade() -> None:
    """One step up."""
    with op.batch_alter_table("round") as batch_op:
        batch_op.add_column(sa.Column("called_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("message") as batch_op:
        batch_op.add_column(sa.Column("resident_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("provider", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("tried_at", sa.BigInteger(), nullable=True))
        batch_op.alter_column("person_id", existing_type=sa.Integer(), nullable=True)
        batch_op.create_foreign_key("fk_message_resident", "resident", ["resident_id"], ["id"])
        batch_op.create_check_constraint(
            "ck_message_whom", "(person_id IS NULL) <> (resident_id IS NULL)"
        )
        batch_op.create_index(
            "ux_message_resident", ["resident_id", "channel", "template", "attempt"], unique=True,
            sqlite_where=FOR_RESIDENTS, postgresql_where=FOR_RESIDENTS,
        )  # fmt: skip


def downgrade() -> None:
    """One step down; the calls to residents, which 0003 has no room for, go with it."""
    op.execute("DELETE FROM message WHERE resident_id IS NOT NULL")
    with op.batch_alter_table("message") as batch_op:
        batch_op.drop_index("ux_message_resident")
        batch_op.drop_constraint("ck_message_whom", type_="check")
        batch_op.drop_constraint("fk_message_resident", type_="foreignkey")
        batch_op.alter_column("person_id", existing_type=sa.Integer(), nullable=False)
        batch_op.drop_column("tried_at")
        batch_op.drop_column("provider")
        batch_op.drop_column("resident_id")
    with op.batch_alter_table("round") as batch_op:
        batch_op.drop_column("called_at")
