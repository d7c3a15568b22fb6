"""Shifts, rounds walked and reported, classes with their reason, ends, and the clock of 120."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NEW_COLUMNS = {
    "resident": [
        ("class_by", sa.String(), None), ("class_why", sa.String(), ""),
        ("class_at", sa.BigInteger(), None), ("ended_at", sa.BigInteger(), None),
        ("ended_how", sa.String(), None),
    ],
    "round": [
        ("opens_at", sa.BigInteger(), None), ("deadline", sa.BigInteger(), None),
        ("next_at", sa.BigInteger(), None), ("tallied", sa.Boolean(), sa.false()),
    ],
    "alert": [
        ("emergency_look_at", sa.BigInteger(), None), ("emergency_since", sa.BigInteger(), None),
    ],
    "alert_item": [("after_absence", sa.BigInteger(), None)],
}  # fmt: skip
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """One step up."""
    for table, columns in NEW_COLUMNS.items():
        with op.batch_alter_table(table) as batch_op:
            for name, kind, default in columns:
                batch_op.add_column(
                    sa.Column(name, kind, nullable=default is None, server_default=default)
                )
    # The defaults were for the rows that are there; new rows bring their own values.
    with op.batch_alter_table("resident") as batch_op:
        batch_op.alter_column("class_why", server_default=None)
    with op.batch_alter_table("round") as batch_op:
        batch_op.alter_column("tallied", server_default=None)
    op.create_index(
        "ix_round_next", "round", ["next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_alert_emergency", "alert", ["emergency_look_at"],
        sqlite_where=sa.text("emergency_look_at IS NOT NULL"),
        postgresql_where=sa.text("emergency_look_at IS NOT NULL"),
    )  # fmt: skip
    op.create_table(
        "duty_shift",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("person_id", sa.Integer(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("days", sa.String(), nullable=False),
        sa.Column("starts", sa.String(), nullable=False),
        sa.Column("ends", sa.String(), nullable=False),
    )
    op.create_index("ix_duty_shift_person_id", "duty_shift", ["person_id"])
    op.create_table(
        "round_tally",
        sa.Column("round_id", sa.Integer(), sa.ForeignKey("round.id"), primary_key=True),
        sa.Column("building_id", sa.Integer(), sa.ForeignKey("building.id"), primary_key=True),
        sa.Column("owing", sa.Integer(), nullable=False),
    )
    op.create_table(
        "round_report",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("round_id", sa.Integer(), sa.ForeignKey("round.id"), nullable=False),
        sa.Column("building_id", sa.Integer(), sa.ForeignKey("building.id"), nullable=False),
        sa.Column("person_id", sa.Integer(), sa.ForeignKey("person.id"), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("round_id", "building_id", "by"),
    )
    op.create_index("ix_round_report_building_id", "round_report", ["building_id"])


def downgrade() -> None:
    """One step down."""
    for table in ("round_report", "round_tally", "duty_shift"):
        op.drop_table(table)
    op.drop_index("ix_alert_emergency", table_name="alert")
    op.drop_index("ix_round_next", table_name="round")
    for table, columns in NEW_COLUMNS.items():
        with op.batch_alter_table(table) as batch_op:
            for name, _, _ in columns:
                batch_op.drop_column(name)
