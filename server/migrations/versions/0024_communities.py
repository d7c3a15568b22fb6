"""Several communities in one installation: each has a series of house numbers, and a handover is of
one of them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SPAN = 100_000


def upgrade() -> None:
    """One step up: the first community keeps its numbers. (There was never a second one.)"""
    op.add_column(
        "community", sa.Column("series", sa.Integer(), nullable=False, server_default="0")
    )
    communities = sa.table("community", sa.column("id"), sa.column("series"))
    buildings = sa.table("building", sa.column("community_id"), sa.column("number"))
    found = op.get_bind().execute(sa.select(communities.c.id).order_by(communities.c.id))
    for series, community_id in enumerate(found.scalars().all()):
        if not series:
            continue
        theirs = communities.c.id == community_id
        op.execute(communities.update().where(theirs).values(series=series))
        op.execute(
            buildings.update().where(buildings.c.community_id == community_id)
            .values(number=buildings.c.number + series * SPAN)
        )
    op.create_index("ux_community_series", "community", ["series"], unique=True)
    op.create_index("ux_building_number", "building", ["number"], unique=True)
    op.add_column("handover", sa.Column("community_id", sa.Integer(), nullable=True))


def downgrade() -> None:
    """One step down: the houses of a second community keep their long numbers."""
    with op.batch_alter_table("handover") as batch_op:
        batch_op.drop_column("community_id")
    op.drop_index("ux_building_number", "building")
    op.drop_index("ux_community_series", "community")
    with op.batch_alter_table("community") as batch_op:
        batch_op.drop_column("series")
