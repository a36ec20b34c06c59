"""What each record of a source says, in place of what a source said of a person

Snapshots have come from HubSpot only: what was told of a person is given to her contact (of merged ones to the last).
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_RECORDS = """
    CREATE TEMPORARY TABLE record_of AS
    SELECT told.source, told.anchor, max(CAST(i.value AS INTEGER)) AS record
    FROM (SELECT DISTINCT source, anchor FROM snapshots) told
    JOIN (SELECT a AS anchor, b AS number FROM links UNION SELECT id, id FROM identifiers) known
        ON known.anchor = told.anchor
    JOIN identifiers i ON i.id = known.number AND i.kind = 'hubspot_id'
    GROUP BY told.source, told.anchor
"""


def upgrade() -> None:
    op.execute(_RECORDS)
    op.create_table(
        "facts_by_record",
        sa.Column("anchor", _ID, primary_key=True),
        sa.Column("trait", sa.String, primary_key=True),
        sa.Column("at_us", sa.BigInteger, primary_key=True),
        sa.Column("record", sa.String, primary_key=True, server_default=""),
        sa.Column("value", sa.JSON),
        sa.ForeignKeyConstraint(["anchor"], ["identifiers.id"]),
        sqlite_with_rowid=False,
    )
    op.execute(
        """
        INSERT INTO facts_by_record
        SELECT f.anchor, f.trait, f.at_us, coalesce(r.source || ':' || r.record, ''), f.value
        FROM facts f
        LEFT JOIN snapshots s ON s.anchor = f.anchor AND s.name = 'trait:' || f.trait
        LEFT JOIN record_of r ON r.anchor = s.anchor AND r.source = s.source
        """
    )
    op.drop_table("facts")
    op.rename_table("facts_by_record", "facts")
    op.create_table(
        "snapshots_by_record",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("record", sa.String, primary_key=True),
        sa.Column("anchor", _ID, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("traits", sa.JSON, nullable=False),
        sa.Column("purposes", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["anchor"], ["identifiers.id"]),
        sqlite_with_rowid=False,
    )
    op.execute(
        """
        INSERT INTO snapshots_by_record
        SELECT s.source, CAST(r.record AS TEXT), max(s.anchor), max(s.at_us),
            json_group_object(substr(s.name, 7), json(s.value))
                FILTER (WHERE s.name LIKE 'trait:%' AND s.value != 'null'),
            json_group_object(substr(s.name, 9), json(s.value)) FILTER (WHERE s.name LIKE 'purpose:%')
        FROM snapshots s JOIN record_of r ON r.anchor = s.anchor AND r.source = s.source
        GROUP BY s.source, r.record
        """
    )
    op.drop_table("snapshots")
    op.rename_table("snapshots_by_record", "snapshots")
    op.create_index("snapshots_anchor", "snapshots", ["anchor"])
    op.execute("DROP TABLE record_of")
