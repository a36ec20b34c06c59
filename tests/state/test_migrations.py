"""The tables of a new state and those of an old one that was migrated are the same."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import leadup.state
from leadup.state import open_store

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(leadup.state.__file__).parent / "migrations"))


def make_old(path: Path, revision: str = "0001") -> None:
    """Make a state as the first leadup made it, or a later one."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, revision)
    engine.dispose()


def open_and_tell(path: Path) -> dict[str, Any]:
    """Open a state, and tell what there is. The order of columns does not count, since each is used by its name."""
    open_store(f"sqlite:///{path}", path.parent).close()
    with closing(sqlite3.connect(path)) as state:
        made = dict(state.execute("SELECT name, sql FROM sqlite_master"))
        names = [name for (name,) in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            "tables": {name: _table(state, name, made) for name in names},
            "version": state.execute("SELECT * FROM alembic_version").fetchall(),
            "salts": state.execute("SELECT count(*) FROM meta WHERE key = 'salt'").fetchall(),
        }


def _table(state: sqlite3.Connection, table: str, made: dict[str, str | None]) -> dict[str, Any]:
    indexes = state.execute(f"PRAGMA index_list('{table}')").fetchall()
    return {
        "columns": {column[1:] for column in state.execute(f"PRAGMA table_xinfo('{table}')")},
        "keys": {key[2:] for key in state.execute(f"PRAGMA foreign_key_list('{table}')")},
        "indexes": {name: (*how, made.get(name), _indexed(state, name)) for _, name, *how in indexes},
        "has row ids": "WITHOUT ROWID" not in str(made[table]),
        "checks": str(made[table]).count("CHECK"),
    }


def _indexed(state: sqlite3.Connection, index: str) -> list[str]:
    return [name for _, _, name in state.execute(f"PRAGMA index_info('{index}')")]


def test_a_new_state_has_the_tables_that_an_old_one_is_migrated_to(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    make_old(old)
    migrated, new = open_and_tell(old), open_and_tell(tmp_path / "new.db")
    assert migrated == new
    assert new["version"] == [(ScriptDirectory.from_config(CONFIG).get_current_head(),)]
    assert new["salts"] == [(1,)]
    assert open_and_tell(old) == migrated, "and stays so"


def test_what_was_told_of_a_person_is_what_her_contact_says(tmp_path: Path) -> None:
    """Of merged contacts the one that was made last; nothing ends before the contact is read again."""
    old = tmp_path / "old.db"
    make_old(old, "0012")
    rows = {
        "identifiers (id, kind, value, first_us)": """
            (1, 'email', 'a', 1), (2, 'hubspot_id', '99', 1), (3, 'hubspot_id', '101', 1), (4, 'email', 'b', 1)""",
        "links (a, b, first_us)": "(1, 2, 1), (1, 3, 1)",
        "snapshots (source, anchor, name, at_us, value)": """
            ('crm', 1, 'trait:plan', 5, '"pro"'), ('crm', 1, 'trait:vip', 4, 'true'),
            ('crm', 1, 'trait:owner', 5, 'null'), ('crm', 1, 'purpose:email_marketing', 5, 'false')""",
        "facts (anchor, trait, at_us, value)": """
            (1, 'plan', 5, '"pro"'), (1, 'vip', 4, 'true'), (1, 'seats', 3, '7'), (4, 'plan', 2, '"trial"')""",
    }
    with closing(sqlite3.connect(old)) as state, state:
        for into, values in rows.items():
            state.execute(f"INSERT INTO {into} VALUES {values}")
    open_and_tell(old)
    with closing(sqlite3.connect(old)) as state:
        facts = state.execute("SELECT anchor, trait, record FROM facts ORDER BY anchor, trait").fetchall()
        said = state.execute("SELECT source, record, anchor, at_us, traits, purposes FROM snapshots").fetchall()
    assert facts == [(1, "plan", "crm:101"), (1, "seats", ""), (1, "vip", "crm:101"), (4, "plan", "")]
    [(*who, traits, purposes)] = said
    assert who == ["crm", "101", 1, 5]
    assert (json.loads(traits), json.loads(purposes)) == ({"plan": "pro", "vip": True}, {"email_marketing": False})


def test_leaves_that_were_given_up_are_sent_again(tmp_path: Path) -> None:
    """Of audiences only, and not of whoever is out or should be in."""
    old = tmp_path / "old.db"
    make_old(old, "0014")
    row = "'{}', 1, {}, NULL, '{}', 0, NULL, 0, 1, 0, ''"
    people = [("in", "'x'", "present"), ("out", "NULL", "absent"), ("may be in", "NULL", "possible")]
    people.append(("stuck", "NULL", "present"))
    names = "target, subject, person, want, stands, standing, open, remote, urgent, number, sent, reason"
    with closing(sqlite3.connect(old)) as state, state:
        for target, use in ((1, "audience"), (2, "property")):
            terms = "INSERT INTO targets (id, connection, use, name, remote_name, terms, active) VALUES"
            state.execute(f"{terms} ({target}, 'c', '{use}', 'n', 'n', '{{}}', 1)")
            for subject, want, standing in people:
                values = row.format(subject, want, standing)
                state.execute(f"INSERT INTO standings ({names}) VALUES ({target}, {values})")
    open_and_tell(old)
    with closing(sqlite3.connect(old)) as state:
        found = state.execute("SELECT target, subject FROM standings WHERE open ORDER BY subject").fetchall()
    assert found == [(1, "may be in"), (1, "stuck")]


def test_values_that_stand_nobody_noted_where_are_sent_once_more(tmp_path: Path) -> None:
    """Not what was cleared, is under way for the first time, or is known; audiences and conversions have no values."""
    old = tmp_path / "old.db"
    make_old(old, "0015")
    some, none, known = """'{"v": "lead"}'""", """'{"v": null}'""", """'[["contact", "1"]]'"""
    rows = {
        "stands": (2, some, some, "'present'", "NULL"),
        "known": (2, some, some, "'present'", known),
        "cleared": (2, none, none, "'present'", "NULL"),
        "withheld": (2, "NULL", some, "'present'", "NULL"),
        "under way": (2, some, "NULL", "'possible'", "NULL"),
        "a member": (1, "'\"basis\"'", "'\"basis\"'", "'present'", "NULL"),
    }
    with closing(sqlite3.connect(old)) as state, state:
        for target, use in ((1, "audience"), (2, "property")):
            terms = "INSERT INTO targets (id, connection, use, name, remote_name, terms, active) VALUES"
            state.execute(f"{terms} ({target}, 'c', '{use}', 'n', 'n', '{{}}', 1)")
        for subject, (target, *values) in rows.items():
            names = "target, subject, person, want, stands, standing, remote, open, urgent, number, sent, reason"
            given = f"{target}, '{subject}', 1, {', '.join(values)}, 0, 0, 1, 0, ''"
            state.execute(f"INSERT INTO standings ({names}) VALUES ({given})")
    open_and_tell(old)
    with closing(sqlite3.connect(old)) as state:
        found = state.execute("SELECT subject, want, stands, standing FROM standings WHERE open").fetchall()
    assert found == [("stands", '{"v": "lead"}', None, "possible")]
