"""Services beside the alarm: help requests, hours saved and drawn, visits owed, greeting calls."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def _id() -> sa.Column:
    return sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
    )


def upgrade() -> None:
    """One step up."""
    op.create_table(
        "help_request",
        _id(),
        sa.Column("building_id", sa.Integer(), nullable=False),
        sa.Column("resident_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("helper", sa.String(), nullable=True),
        sa.Column("helper_id", sa.Integer(), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("ending", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("payer_id", sa.Integer(), nullable=True),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("request_key", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["building_id"], ["building.id"]),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"]),
        sa.ForeignKeyConstraint(["helper_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["payer_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_key"),
    )
    op.create_index("ix_help_request_building_id", "help_request", ["building_id"])
    op.create_index("ix_help_request_resident_id", "help_request", ["resident_id"])
    op.create_index("ix_help_request_asked_at", "help_request", ["asked_at"])
    op.create_index(
        "ix_help_request_waiting", "help_request", ["due_at"],
        sqlite_where=sa.text("closed_at IS NULL"), postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "hours_account",
        _id(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("community_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("resident_id", sa.Integer(), nullable=True),
        sa.Column("balance_min", sa.Integer(), nullable=False),
        sa.CheckConstraint("balance_min >= 0", name="ck_hours_account_balance"),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("ix_hours_account_person_id", "hours_account", ["person_id"])
    op.create_index("ix_hours_account_resident_id", "hours_account", ["resident_id"])
    op.create_table(
        "hours_entry",
        _id(),
        sa.Column("entry_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("building_id", sa.Integer(), nullable=True),
        sa.Column("counters", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["building_id"], ["building.id"]),
        sa.ForeignKeyConstraint(["counters"], ["hours_entry.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("entry_key"),
        sa.UniqueConstraint("counters"),
    )
    op.create_table(
        "hours_line",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["hours_entry.id"]),
        sa.ForeignKeyConstraint(["account_id"], ["hours_account.id"]),
        sa.PrimaryKeyConstraint("entry_id", "account_id"),
    )
    op.create_index("ix_hours_line_account_id", "hours_line", ["account_id"])
    op.create_table(
        "visit",
        _id(),
        sa.Column("resident_id", sa.Integer(), nullable=False),
        sa.Column("building_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("visited_on", sa.Date(), nullable=True),
        sa.Column("visitor", sa.String(), nullable=True),
        sa.Column("visitor_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("visit_key", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"]),
        sa.ForeignKeyConstraint(["building_id"], ["building.id"]),
        sa.ForeignKeyConstraint(["visitor_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("visit_key"),
    )
    op.create_index("ix_visit_resident_id", "visit", ["resident_id"])
    op.create_index("ix_visit_building_id", "visit", ["building_id"])
    op.create_index(
        "ix_visit_owed", "visit", ["due_at"],
        sqlite_where=sa.text("closed_at IS NULL"), postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "greeting",
        _id(),
        sa.Column("resident_id", sa.Integer(), nullable=False),
        sa.Column("building_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"]),
        sa.ForeignKeyConstraint(["building_id"], ["building.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resident_id", "day", "turn"),
    )
    op.create_index("ix_greeting_building_id", "greeting", ["building_id"])
    op.create_index("ix_greeting_day", "greeting", ["day"])


def downgrade() -> None:
    """One step down; requests, hours, visits and greetings are lost: make a backup first."""
    op.drop_index("ix_greeting_day", table_name="greeting")
    op.drop_index("ix_greeting_building_id", table_name="greeting")
    op.drop_table("greeting")
    op.drop_index("ix_visit_owed", table_name="visit")
    op.drop_index("ix_visit_building_id", table_name="visit")
    op.drop_index("ix_visit_resident_id", table_name="visit")
    op.drop_table("visit")
    op.drop_index("ix_hours_line_account_id", table_name="hours_line")
    op.drop_table("hours_line")
    op.drop_table("hours_entry")
    op.drop_index("ix_hours_account_resident_id", table_name="hours_account")
    op.drop_index("ix_hours_account_person_id", table_name="hours_account")
    op.drop_table("hours_account")
    op.drop_index("ix_help_request_waiting", table_name="help_request")
    op.drop_index("ix_help_request_asked_at", table_name="help_request")
    op.drop_index("ix_help_request_resident_id", table_name="help_request")
    op.drop_index("ix_help_request_building_id", table_name="help_request")
    op.drop_table("help_request")
