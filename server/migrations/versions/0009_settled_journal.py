"""Many servers: who is sending a message; and a journal that can be followed without a gap on
PostgreSQL, where whoever appends holds a lock whose key is below every number it will draw
(docs/adr/0012). SQLite has one writer and needs no such lock."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HOLD = """
CREATE FUNCTION journal_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Once a transaction. The setting is local: a rolled back savepoint takes it away together
    -- with the lock that was taken in it.
    IF coalesce(current_setting('xunlou.journal_held', true), '') = '' THEN
        PERFORM pg_advisory_xact_lock_shared(
            CASE WHEN is_called THEN last_value ELSE last_value - 1 END
        ) FROM journal_seq_seq;
        PERFORM set_config('xunlou.journal_held', 'yes', true);
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """One step up."""
    op.add_column("message", sa.Column("sender", sa.String(), nullable=True))
    if op.get_bind().dialect.name != "postgresql":
        return
    # An answer's attempt is the instant in milliseconds: PostgreSQL's INTEGER can't hold it.
    op.alter_column("message", "attempt", type_=sa.BigInteger())
    op.execute(HOLD)
    # A statement's trigger runs before the statement draws its first number.
    op.execute(
        "CREATE TRIGGER journal_hold BEFORE INSERT ON journal"
        " FOR EACH STATEMENT EXECUTE FUNCTION journal_hold()"
    )


def downgrade() -> None:
    """One step down."""
    with op.batch_alter_table("message") as batch_op:
        batch_op.drop_column("sender")
    if op.get_bind().dialect.name != "postgresql":
        return
    op.alter_column(
        "message", "attempt", type_=sa.Integer(),
        postgresql_using="mod(attempt, 2147483647)::integer",
    )  # fmt: skip
    op.execute("DROP TRIGGER journal_hold ON journal")
    op.execute("DROP FUNCTION journal_hold()")
