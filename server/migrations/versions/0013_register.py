"""The register as staff keep it: district and street, how names sound, and each change."""

import sqlalchemy as sa
from alembic import op

from server.pinyin import sounds

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One step up; everybody's name is read once."""
    for column in ("district", "street"):
        op.add_column("community", sa.Column(column, sa.String(), nullable=False, server_default=""))
    op.add_column("resident", sa.Column("sounds", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "register_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_register_change_subject", "register_change", ["subject", "id"])
    resident = sa.table("resident", sa.column("id"), sa.column("name"), sa.column("sounds"))
    conn = op.get_bind()
    found = [
        {"row": row.id, "heard": sounds(row.name)}
        for row in conn.execute(sa.select(resident.c.id, resident.c.name))
    ]
    if found:
        conn.execute(
            sa.update(resident).where(resident.c.id == sa.bindparam("row"))
            .values(sounds=sa.bindparam("heard")),
            found,
        )


def downgrade() -> None:
    """One step down; the history of changes goes with it."""
    op.drop_index("ix_register_change_subject", table_name="register_change")
    op.drop_table("register_change")
    op.drop_column("resident", "sounds")
    op.drop_column("community", "street")
    op.drop_column("community", "district")
