"""Events stand in partitions on PostgreSQL, and a terminal's newest event says which are new to us
(docs/adr/0035). The table as it is becomes the first partition: nothing is copied."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BLOCK = 100_000_000
NEWEST = """
UPDATE terminal SET newest_event =
    (SELECT max(signal.boot * 2147483648 + signal.seq) FROM signal
     WHERE signal.terminal_id = terminal.id)
"""
COLUMNS = "id, terminal_id, boot, seq, type, occurred_at, received_at, late, test"


def upgrade() -> None:
    """One step up."""
    op.add_column("terminal", sa.Column("newest_event", sa.BigInteger(), nullable=True))
    op.execute(NEWEST)
    if op.get_bind().dialect.name != "postgresql":
        return
    # The next id, whatever was deleted since.
    drawn = op.get_bind().execute(sa.text("SELECT last_value FROM signal_id_seq")).scalar_one()
    block = drawn // BLOCK
    whole = f"signal_{block}"
    _renamed("signal", whole)
    op.execute(f"CREATE TABLE signal (LIKE {whole} INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
    op.execute("ALTER TABLE signal ADD CONSTRAINT signal_pkey PRIMARY KEY (id)")
    op.execute(
        "ALTER TABLE signal ADD CONSTRAINT signal_terminal_id_fkey"
        " FOREIGN KEY (terminal_id) REFERENCES terminal (id)"
    )
    op.execute("ALTER SEQUENCE signal_id_seq OWNED BY signal.id")
    op.execute(
        f"ALTER TABLE signal ATTACH PARTITION {whole}"
        f" FOR VALUES FROM (MINVALUE) TO ({(block + 1) * BLOCK})"
    )
    # Whatever happens to the others, no press is refused.
    op.execute("CREATE TABLE signal_default PARTITION OF signal DEFAULT")
    op.execute("ALTER TABLE signal_default ADD UNIQUE (terminal_id, boot, seq)")


def downgrade() -> None:
    """One step down: one table again. Its rows are copied where they stand in several."""
    if op.get_bind().dialect.name == "postgresql":
        _one_table()
    with op.batch_alter_table("terminal") as batch_op:
        batch_op.drop_column("newest_event")


def _renamed(old: str, new: str) -> None:
    """A table under another name, its constraints as well."""
    op.execute(f"ALTER TABLE {old} RENAME TO {new}")
    for what in ("pkey", "terminal_id_boot_seq_key", "terminal_id_fkey"):
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {old}_{what} TO {new}_{what}")


def _one_table() -> None:
    op.execute("ALTER TABLE signal RENAME TO signal_parted")
    op.execute("ALTER TABLE signal_parted RENAME CONSTRAINT signal_pkey TO signal_parted_pkey")
    op.execute("CREATE TABLE signal (LIKE signal_parted INCLUDING DEFAULTS)")
    op.execute("ALTER SEQUENCE signal_id_seq OWNED BY signal.id")
    op.execute(f"INSERT INTO signal ({COLUMNS}) SELECT {COLUMNS} FROM signal_parted ORDER BY id")  # noqa: S608
    op.execute("DROP TABLE signal_parted")
    op.execute("ALTER TABLE signal ADD CONSTRAINT signal_pkey PRIMARY KEY (id)")
    op.execute(
        "ALTER TABLE signal ADD CONSTRAINT signal_terminal_id_boot_seq_key"
        " UNIQUE (terminal_id, boot, seq)"
    )
    op.execute(
        "ALTER TABLE signal ADD CONSTRAINT signal_terminal_id_fkey"
        " FOREIGN KEY (terminal_id) REFERENCES terminal (id)"
    )
