"""Roles, scopes, second factor and one-time passwords of accounts; sessions that idle; tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ACCOUNT = (
    sa.Column("role", sa.String(), nullable=False, server_default="operator"),
    sa.Column("scope_level", sa.String(), nullable=False, server_default="all"),
    sa.Column("scope_id", sa.Integer(), nullable=True),
    sa.Column("created_at", sa.BigInteger(), nullable=True),
    sa.Column("password_at", sa.BigInteger(), nullable=True),
    sa.Column("password_until", sa.BigInteger(), nullable=True),
    sa.Column("totp_nonce", sa.String(), nullable=True),
    sa.Column("totp_on", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("totp_step", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("disabled_at", sa.BigInteger(), nullable=True),
)
SESSION = (
    sa.Column("created_at", sa.BigInteger(), nullable=True),
    sa.Column("seen_at", sa.BigInteger(), nullable=True),
    sa.Column("agent", sa.String(), nullable=False, server_default=""),
)


def upgrade() -> None:
    """One step up. Whoever could log in before is an operator; the first start after this makes an
    administrator."""
    with op.batch_alter_table("account") as batch:
        for column in ACCOUNT:
            batch.add_column(column._copy())
    with op.batch_alter_table("session") as batch:
        for column in SESSION:
            batch.add_column(column._copy())
        batch.create_index("ix_session_account_id", ["account_id"])
    op.create_table(
        "recovery_code",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "digest"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.Column("scope_level", sa.String(), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )


def downgrade() -> None:
    """One step down; roles, scopes, second factors and tokens are lost, and every account is again
    one that may do all: only for an upgrade that went wrong."""
    op.drop_table("api_token")
    op.drop_table("recovery_code")
    with op.batch_alter_table("session") as batch:
        batch.drop_index("ix_session_account_id")
        for column in SESSION:
            batch.drop_column(column.name)
    with op.batch_alter_table("account") as batch:
        for column in ACCOUNT:
            batch.drop_column(column.name)
