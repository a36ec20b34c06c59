"""All tables, in the order of the flow. Instants are ``BigInteger`` microseconds UTC (columns named ``*_us``).

Commit points (one SQL transaction each): a **page** is events, identity and signals with the source's cursor and
watermark; a **tick** is memberships and conversions with the outbox rows they cause; a **receipt** is row states with
ledger lines.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself only for INTEGER PRIMARY KEY

# ---------------------------------------------------------------- the house

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", JSON))
"""Single values: the fingerprint of the rules that were judged last, the salt, and the like."""

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("what", String, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("arguments", JSON, nullable=False),
    Column("state", String, nullable=False),  # asked, running, done, failed
    Column("answer", JSON),
    Column("asked_us", BigInteger, nullable=False),
    Column("done_us", BigInteger),
)
"""What the command line asks of a living daemon."""

# ---------------------------------------------------------------- sources, events

sources = Table(
    "sources",
    metadata,
    Column("connection", String, primary_key=True),
    Column("cursor", JSON),
    Column("watermark_us", BigInteger),
    Column("final_us", BigInteger),  # up to where no row comes late; null: up to the watermark
    Column("pulled_us", BigInteger),
    Column("events", BigInteger, nullable=False, server_default=text("0")),
    Column("rejected", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("suppressed", BigInteger, nullable=False, server_default=text("0")),  # dropped: who they tell was erased
    Column("waits_us", BigInteger),  # until when it is not read, since the vendor's calls of the day are spent
    Column("waits", Text),  # why, and when it goes on, in words
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("connection", String, nullable=False),
    Column("place", String, nullable=False),
    Column("line", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("connection", "place", "line", "reason"),
)

event_tail = Table(
    "event_tail",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("day", Integer, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("name", String, nullable=False),
    Column("identifiers", Text, nullable=False),
    Column("properties", Text, nullable=False),
    Column("click_ids", Text, nullable=False),
    Column("consent", Text, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Index("event_tail_day", "day"),
    sqlite_with_rowid=False,
)
"""Recent events. ``key`` is a hash of (source, id), ``digest`` of the content; ``day`` counts UTC days since 1970;
identifiers, properties, click ids and consent are JSON as text, as in the files."""

event_files = Table(
    "event_files",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("day", Integer, nullable=False),
    Column("path", String, nullable=False, unique=True),
    Column("rows", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("names", JSON, nullable=False),  # rows by event name
    Column("added_us", BigInteger, nullable=False),
    Column("dropped_us", BigInteger),
    Index("event_files_day", "day"),
)
"""The manifest: which Parquet files are the log. A file that is not named here does not exist."""

event_keys = Table(
    "event_keys",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("day", Integer, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    sqlite_with_rowid=False,
)
"""Events that have left the tail, and the day whose files hold them. An event is here or in the tail, never in both.
It names the day and not the file, so that merging the files of a day need not touch it."""

event_gone = Table(
    "event_gone",
    metadata,
    Column("file", _ID, ForeignKey("event_files.id"), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    sqlite_with_rowid=False,
)
"""Rows that count no more: what ``file`` holds of ``key``, if anything, has been revised or removed."""

event_parts = Table(
    "event_parts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("connection", String, nullable=False),
    Column("name", String, nullable=False),
    Column("reading", String, nullable=False),
    Column("number", Integer, nullable=False),
    UniqueConstraint("connection", "name"),
)
"""Parts of a source that may be read again, whole, and which reading of each is the latest; ``number`` counts them."""

part_events = Table(
    "part_events",
    metadata,
    Column("part", _ID, ForeignKey("event_parts.id"), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    Column("reading", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Which events a part has brought, and the number of the reading that did so last."""

# ---------------------------------------------------------------- identity

identifiers = Table(
    "identifiers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", String, nullable=False),
    Column("value", String, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    UniqueConstraint("kind", "value"),
)

links = Table(
    "links",
    metadata,
    Column("a", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("b", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("first_us", BigInteger, primary_key=True),
    Index("links_b", "b"),
    sqlite_with_rowid=False,
)
"""Two identifiers that one record carried, the stronger as ``a``. With a device: each instant, since a late login may
cut its time anywhere; without: only what was earlier than all before. A record's strongest identifier with each of its
others is enough (:mod:`leadup.identity.ownership` says why)."""

persons = Table("persons", metadata, Column("id", _ID, primary_key=True), Column("merged_into", _ID))
"""``merged_into`` 0: erased. The row stays: a number that is given again would inherit what is still on its way."""

spans = Table(
    "spans",
    metadata,
    Column("identifier", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("from_us", BigInteger, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
    Column("person", _ID, ForeignKey("persons.id"), nullable=False),
    Index("spans_person", "person"),
    sqlite_with_rowid=False,
)
"""Whose an identifier is, from when until when. Most have one span; a shared browser has several."""

shared = Table(
    "shared",
    metadata,
    Column("identifier", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("person", _ID, ForeignKey("persons.id"), primary_key=True),
    Index("shared_person", "person"),
    sqlite_with_rowid=False,
)
"""Contact data (e-mail, phone) of a person that belongs first to another one, since two user ids never merge."""

vault = Table(
    "vault",
    metadata,
    Column("identifier", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("cipher", LargeBinary, nullable=False),
)
"""Raw e-mail addresses, encrypted; nothing else in the database holds one."""

facts = Table(
    "facts",
    metadata,
    Column("anchor", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("trait", String, primary_key=True),
    Column("at_us", BigInteger, primary_key=True),
    Column("record", String, primary_key=True, server_default=""),
    Column("value", JSON),
    sqlite_with_rowid=False,
)
"""``record``: which record of which source says it (``hubspot:1501``), until it says something else, or nothing (null);
"" of a statement that stands by itself."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("source", String, primary_key=True),
    Column("record", String, primary_key=True),
    Column("anchor", _ID, ForeignKey("identifiers.id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("traits", JSON, nullable=False),
    Column("purposes", JSON, nullable=False),
    Index("snapshots_anchor", "anchor"),
    sqlite_with_rowid=False,
)
"""What each record of a source that tells of people as they stand has said last: of what it says next only what differs
is news. ``anchor``: under which its facts are stored; they go with it."""

listed = Table(
    "listed",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("list", String, primary_key=True),
    Index("listed_list", "list"),
    sqlite_with_rowid=False,
)
"""Identifiers on lists of known people, in the form that ``identifiers`` has them; whose they are may not be known."""

consents = Table(
    "consents",
    metadata,
    Column("anchor", _ID, ForeignKey("identifiers.id"), primary_key=True),
    Column("purpose", String, primary_key=True),
    Column("at_us", BigInteger, primary_key=True),
    Column("granted", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# ---------------------------------------------------------------- signals, verdicts, memberships, conversions

signals = Table(
    "signals",
    metadata,
    Column("event", LargeBinary(16), primary_key=True),
    Column("pattern", String, primary_key=True),
    Column("anchor", _ID, ForeignKey("identifiers.id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("minor", BigInteger),
    Column("currency", String),
    Column("properties", JSON, nullable=False),
    Column("click_ids", JSON, nullable=False),
    Column("consent", JSON, nullable=False),
    Index("signals_anchor", "anchor", "number"),
    Index("signals_pattern", "pattern", "number"),
    sqlite_with_rowid=False,
)
"""``number`` counts all signals that were ever derived; no two have the same, so that what is new since is known."""

signal_files = Table(
    "signal_files",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("pattern", String, nullable=False),
    Column("path", String, nullable=False, unique=True),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""The manifest of the columns in which signals are read faster (:mod:`leadup.engine.columns`). Together the files hold
the signals up to the number in ``meta``, but those that are gone. They can be thrown away: the truth is ``signals``."""

signal_gone = Table(
    "signal_gone",
    metadata,
    Column("anchor", _ID, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
"""Signals that were revised or taken back, while a file may hold them."""

clicks = Table(
    "clicks",
    metadata,
    Column("event", LargeBinary(16), primary_key=True),
    Column("anchor", _ID, ForeignKey("identifiers.id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("ids", JSON, nullable=False),
    Index("clicks_anchor", "anchor"),
    sqlite_with_rowid=False,
)
"""Click ids that an event brought, by kind: mostly a landing page's. Later events of the visit carry them."""

dirty = Table("dirty", metadata, Column("person", _ID, primary_key=True))
"""Persons to judge again at the next tick, because something about them changed."""

judged = Table(
    "judged",
    metadata,
    Column("person", _ID, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("waits_us", BigInteger, nullable=False),
    Index("judged_due", "due_us"),
    Index("judged_waits", "waits_us"),
)
"""When each person was judged last, when he must be again, and which watermark he waits for."""

memberships = Table(
    "memberships",
    metadata,
    Column("segment", String, primary_key=True),
    Column("person", _ID, primary_key=True),
    Column("entered_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Index("memberships_person", "person"),
    sqlite_with_rowid=False,
)

membership_log = Table(
    "membership_log",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("segment", String, nullable=False),
    Column("person", _ID, nullable=False),
    Column("entered", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Index("membership_log_person", "person"),
)

holdouts = Table(
    "holdouts",
    metadata,
    Column("name", String, primary_key=True),
    Column("person", _ID, primary_key=True),
    Column("held", Boolean, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("mixed", Boolean, nullable=False),  # was sent as well as held out: tells nothing about the effect
    Index("holdouts_person", "person"),
    sqlite_with_rowid=False,
)
"""Who is held out and who is not, from the first moment at which the person could have been sent."""

conversions = Table(
    "conversions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String, nullable=False),
    Column("person", _ID, nullable=False),
    Column("transaction_id", String, nullable=False, unique=True),
    Column("opened_us", BigInteger, nullable=False),
    Column("events", JSON, nullable=False),
    Column("minor", BigInteger),
    Column("currency", String),
    Column("click_ids", JSON, nullable=False),
    Column("click_us", BigInteger),
    Column("consent", JSON, nullable=False),
    Column("episode", JSON(none_as_null=True)),  # of a ladder: where it stands
    Index("conversions_person", "person"),
    Index("conversions_opened", "name", "opened_us"),
)
"""Occurrences to report, and episodes of ladders. The transaction id is minted once, from the opening event, and never
recomputed."""

# ---------------------------------------------------------------- targets, plan, outbox, ledger

targets = Table(
    "targets",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("connection", String, nullable=False),
    Column("use", String, nullable=False),
    Column("name", String, nullable=False),
    Column("remote_name", String, nullable=False),
    Column("remote_id", String),
    Column("refresh_us", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("terms", JSON, nullable=False),  # what it asks of a person, as data
    Column("guard", String),  # the guard that holds this target, if one does
    Column("guard_text", Text),
    Column("plan", String),  # fingerprint of the plan that is held
    Column("error", Text),
    Column("retry_us", BigInteger),
    Column("lacks", Text),  # what the vendor's plan does not offer for it, since somebody was told
    Column("size", JSON(none_as_null=True)),  # how big it is there, as the vendor said at `sized_us`
    Column("sized_us", BigInteger),
    Column("replacing_us", BigInteger),  # since when all that should be there is being sent anew
    UniqueConstraint("connection", "use", "name"),
)

standings = Table(
    "standings",
    metadata,
    Column("target", _ID, ForeignKey("targets.id"), primary_key=True),
    Column("subject", String, primary_key=True),  # a person's id, or a transaction id
    Column("person", _ID, nullable=False),
    Column("want", JSON(none_as_null=True)),
    Column("stands", JSON(none_as_null=True)),
    Column("standing", String, nullable=False),  # absent, possible, present, leaving
    Column("open", Boolean, nullable=False),  # the plan has to look at it
    Column("remote", JSON(none_as_null=True)),  # identifiers as they were sent
    Column("sent", _ID),  # the outbox row that was sent last: what came of older ones matters no more
    Column("number", Integer, nullable=False),  # counts what was ever planned for this subject
    Column("refresh_us", BigInteger),
    Column("urgent", Boolean, nullable=False),  # a leave that no guard holds
    Column("reason", Text, nullable=False),
    Index("standings_person", "person"),
    sqlite_with_rowid=False,
)
"""What should stand at a target and what does, row by row: the two sides that the plan compares.

``want`` and ``stands`` hold the same kind of thing: for an audience the basis (a hash of the contact data that the sent
identifiers are made of), for a conversion its amount, for a property its value; null is nothing. ``standing`` says how
sure it is: a row on its way, or one whose answer was lost, is ``possible``.
"""
Index(
    "standings_open",
    standings.c.target,
    sqlite_where=text("open"),
    postgresql_where=text("open"),
)

Index(
    "standings_refresh",
    standings.c.target,
    standings.c.refresh_us,
    sqlite_where=text("refresh_us IS NOT NULL"),
    postgresql_where=text("refresh_us IS NOT NULL"),
)

remote_ids = Table(
    "remote_ids",
    metadata,
    Column("target", _ID, ForeignKey("targets.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("subject", String, primary_key=True),
    sqlite_with_rowid=False,
)
"""Who sent which identifier to an audience, so that a leave spares what another member still needs; and whose value of
a property was sent to which record, so that it is not cleared with another's."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("target", _ID, ForeignKey("targets.id"), nullable=False),
    Column("subject", String, nullable=False),
    Column("person", _ID, nullable=False),
    Column("verb", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("want", JSON(none_as_null=True)),
    Column("before", JSON(none_as_null=True)),  # what stood before it was sent, should nothing have been done
    Column("state", String, nullable=False),
    Column("remote", JSON(none_as_null=True)),
    Column("consent", JSON(none_as_null=True)),
    Column("batch", String),
    Column("handle", String),
    Column("attempts", Integer, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("code", String, nullable=False, server_default=text("''")),
    Column("detail", Text, nullable=False, server_default=text("''")),
    Column("reason", Text, nullable=False),
    Column("planned_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger),
    Column("done_us", BigInteger),
    Index("outbox_person", "person"),
    Index("outbox_handle", "handle"),
    Index("outbox_work", "target", "state", "next_us"),
)
Index(
    "outbox_live",
    outbox.c.target,
    outbox.c.subject,
    unique=True,
    sqlite_where=outbox.c.state.in_(["held", "pending", "sending"]),
    postgresql_where=outbox.c.state.in_(["held", "pending", "sending"]),
)
"""At most one live row per subject: a newer intent replaces a pending one and never overtakes one being sent."""

ledger = Table(
    "ledger",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("row", _ID),
    Column("target", _ID, nullable=False),
    Column("subject", String, nullable=False),
    Column("person", _ID),
    Column("verb", String, nullable=False),
    Column("what", String, nullable=False),
    Column("code", String, nullable=False, server_default=text("''")),
    Column("detail", Text, nullable=False, server_default=text("''")),
    Index("ledger_person", "person"),
    Index("ledger_target", "target"),
)
"""What happened to each row, append-only; free of personal data."""

answers = Table(
    "answers",
    metadata,
    Column("target", BigInteger, ForeignKey("targets.id"), primary_key=True),
    Column("handle", String, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("verb", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("progress", String, nullable=False),  # accepted, processed, partial, failed, unanswered
    Column("failed", JSON, nullable=False),  # rows by reason
    Column("unmatched", JSON, nullable=False),
    Column("warned", JSON, nullable=False),
    Index("answers_told", "target", "at_us"),
    sqlite_with_rowid=False,
)
"""What a vendor said of each batch that it works off later. Its candidate rows are those of the outbox with its handle,
until they are sent again."""

budgets = Table(
    "budgets",
    metadata,
    Column("connection", String, primary_key=True),
    Column("account", String, nullable=False),  # connections of one account share its day
    Column("limit", BigInteger),  # calls a day; null: the vendor does not say
    Column("left", BigInteger, nullable=False),
    Column("zone", String, nullable=False),  # whose midnight ends the day
    Column("told_us", BigInteger, nullable=False),
    Column("ends_us", BigInteger, nullable=False),
    Column("noticed_us", BigInteger),  # when that day ends on which it was last said that something waits
)
"""What was left of a vendor's calls of the day when it told of them last."""

# ---------------------------------------------------------------- erasure

erasures = Table(
    "erasures",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("state", String, nullable=False),  # leaving, clearing, done
    Column("asked_us", BigInteger, nullable=False),
    Column("asked_by", String, nullable=False),
    Column(
        "inbox_until", BigInteger, nullable=False
    ),  # the last request that may tell of her, in the collector's inbox
    Column("done_us", BigInteger),
    Column("lifted_us", BigInteger),
)
"""Requests to erase a person. Nothing in them says who that was."""

erased_persons = Table(
    "erased_persons",
    metadata,
    Column("person", _ID, primary_key=True),
    Column("erasure", _ID, ForeignKey("erasures.id"), nullable=False),
)
"""Whose rows at the vendors are still to be taken out; nobody when the request is done."""

erased_events = Table(
    "erased_events",
    metadata,
    Column("erasure", _ID, ForeignKey("erasures.id"), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    sqlite_with_rowid=False,
)
"""Events that count no more and may still lie in files; none when the files have been written anew."""

erasure_targets = Table(
    "erasure_targets",
    metadata,
    Column("erasure", _ID, ForeignKey("erasures.id"), primary_key=True),
    Column("target", _ID, ForeignKey("targets.id"), primary_key=True),
    Column("confirmed_us", BigInteger),
    Column("outcome", String),
    sqlite_with_rowid=False,
)
"""Audiences in which she was, or possibly was, and when each vendor confirmed that she is out: the receipt."""

suppressed = Table(
    "suppressed",
    metadata,
    Column("hash", LargeBinary(16), primary_key=True),
    Column("erasure", _ID, ForeignKey("erasures.id"), primary_key=True),
    Column("from_us", BigInteger, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
    Column("anywhere", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
"""Keyed hashes of identifiers that bring an erased person back. ``anywhere``: a record that carries one is dropped;
else one that has it as its strongest and lies in [from, until), as for a browser that others use too."""
