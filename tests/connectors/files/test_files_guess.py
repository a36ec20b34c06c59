"""``leadup init --from``: the guess reads the file it was made from, and its rules load."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from files_kit import SHARED, events, pull, write
from hypothesis import given, settings
from hypothesis import strategies as st

from leadup import registry
from leadup.errors import NeedsHuman
from leadup.rules.loader import load_text
from leadup_connectors.files.first_rules import first_rules
from leadup_connectors.files.guess import Guess


def guess(path: Path, name: str = "shop") -> Guess:
    """As the command line calls it: by the manifest."""
    found: Guess = registry.load(registry.find("files").guess)(path, name)
    return found


def read(path: Path, found: Guess) -> tuple[list[Any], list[Any]]:
    """Read the file with the guessed settings, as they would stand in leadup.toml."""
    table = tomllib.loads(found.toml)["connections"]["shop"]
    assert table.pop("type") == "files"
    records, rejected, _ = pull(path.parent, path.name, **{k: v for k, v in table.items() if k != "path"})
    return records, rejected


def assert_loads(rules: str) -> None:
    loaded = load_text(rules, connections=[])
    assert [str(warning) for warning in loaded.warnings] == []
    assert loaded.program.segments


B2B = [
    ("page_view", "/pricing"), ("Video Progress", "/demo"), ("Form Started", "/demo"), ("Demo Requested", "/demo"),
]  # fmt: skip


def b2b(count: int, start: int = 0) -> list[dict[str, Any]]:
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    return [
        {
            "messageId": f"m{n}",
            "event": B2B[n % len(B2B)][0],
            "timestamp": (moment + timedelta(minutes=n)).isoformat(),
            "anonymousId": f"c{n % 9}",
            "userId": f"u{n % 3}" if n % 2 else None,
            "context": {"page": {"path": B2B[n % len(B2B)][1]}, "traits": {"email": f"anna{n % 3}@example.com"}},
            "properties": {"percent": n % 100, "gclid": "Cj0" if n % 5 == 0 else None, "email": "anna@example.com"},
        }
        for n in range(start, start + count)
    ]


def test_nested_json_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "segment.jsonl", b2b(40))
    found = guess(file)
    table = tomllib.loads(found.toml)["connections"]["shop"]
    assert table["columns"] == {"id": "messageId", "name": "event", "time": {"column": "timestamp"}}
    assert table["identifiers"] == {"user_id": "userId", "client_id": "anonymousId", "email": "properties.email"}
    assert table["click_ids"] == {"gclid": "properties.gclid"}
    records, rejected = read(file, found)
    assert (len(records), rejected) == (40, [])
    assert events(records)[0].properties == {"percent": 0, "path": "/pricing"}
    assert '"Demo Requested"' in found.rules
    assert "demo_requested" in load_text(found.rules).program.patterns
    assert_loads(found.rules)


def test_no_address_is_ever_shown(tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl", b2b(40))
    addressed = write(
        tmp_path / "odd.jsonl", [{**row, "event": f"mail to anna{n}@example.com"} for n, row in enumerate(b2b(9))]
    )
    for found in (guess(file), guess(addressed)):
        assert "@" not in found.summary
        assert "example.com" not in found.toml


def test_leadup_jsonl_needs_no_mapping(tmp_path: Path) -> None:
    lines = [
        {
            "name": "generate_lead",
            "at": "2026-02-01T00:00:00Z",
            "identifiers": {"user_id": "u"},
            "properties": {"a": 1},
        },
        {"person": {"user_id": "u"}, "facts": {"stage": "lead"}, "at": "2026-02-01T00:00:00Z"},
    ]
    file = write(tmp_path / "e.jsonl.gz", lines)
    found = guess(file)
    assert set(tomllib.loads(found.toml)["connections"]["shop"]) == {"type", "path"}
    assert "leadup's own JSONL" in found.summary
    records, rejected = read(file, found)
    assert (len(records), rejected) == (2, [])
    assert_loads(found.rules)


def test_an_odd_csv(tmp_path: Path) -> None:
    """Semicolons, a spreadsheet's encoding and dates, no event ids, addresses under another name and not everywhere."""
    names = ["Seite", "Warenkorb", "Order Placed"]
    lines = ["Kunde;Aktion;Zeitpunkt;Stadt;Kontakt"]
    for n in range(60):
        address = f"k{n % 7}@example.com" if n % 4 else ""
        lines.append(f"K{n % 7};{names[n % 3]};{1 + n % 28:02}.02.2026 {n % 24:02}:30;Köln;{address}")
    file = tmp_path / "Export 2026.csv"
    file.write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    found = guess(file)
    table = tomllib.loads(found.toml)["connections"]["shop"]
    assert table["encoding"] == "cp1252"
    assert table["columns"] == {
        "name": "Aktion",
        "time": {"column": "Zeitpunkt", "zone": "UTC", "format": "%d.%m.%Y %H:%M"},
    }
    assert table["identifiers"] == {"user_id": "Kunde", "email": "Kontakt"}
    assert "CHECK the zone" in found.toml
    records, rejected = read(file, found)
    assert (len(records), rejected) == (60, [])
    assert events(records)[0].properties == {"Stadt": "Köln"}
    assert_loads(found.rules)


@pytest.mark.parametrize(
    ("times", "written"),
    [
        (["2026-02-01T00:00:00Z"], {}),
        (["2026-02-01 00:00:00"], {"zone": "UTC"}),
        (["1769904000"], {"unit": "s"}),
        (["1769904000123"], {"unit": "ms"}),
        (["1769904000123456"], {"unit": "us"}),
        (["02/13/2026 08:00"], {"zone": "UTC", "format": "%m/%d/%Y %H:%M"}),
        (["13/02/2026 08:00"], {"zone": "UTC", "format": "%d/%m/%Y %H:%M"}),
        (["2/1/2026 8:05 PM"], {"zone": "UTC", "format": "%m/%d/%Y %I:%M %p"}),
    ],
)
def test_times_are_recognised(tmp_path: Path, times: list[str], written: dict[str, str]) -> None:
    file = tmp_path / "e.csv"
    file.write_text("user_id,event,ts\n" + "".join(f"u{n},view,{times[0]}\n" for n in range(9)))
    found = guess(file)
    assert tomllib.loads(found.toml)["connections"]["shop"]["columns"]["time"] == {"column": "ts", **written}
    assert read(file, found)[1] == []


def test_consent_columns_are_taken_and_others_are_never_assumed(tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text(
        "user_id,event,ts,consent_ad_user_data,newsletter\n"
        "u1,view,2026-02-01T00:00:00Z,Y,yes\nu2,view,2026-02-01T00:00:00Z,N,no\n"
    )
    found = guess(file)
    consent = tomllib.loads(found.toml)["connections"]["shop"]["consent"]
    assert consent == {"ad_user_data": {"column": "consent_ad_user_data", "granted": ["y"]}}
    file.write_text("user_id,event,ts,newsletter\nu1,view,2026-02-01T00:00:00Z,yes\n")
    assert "consent" not in tomllib.loads(guess(file).toml)["connections"]["shop"]


def test_a_file_without_a_telling_name(tmp_path: Path) -> None:
    for name, suffix in (("dump.txt", ".jsonl"), ("dump.bin", ".parquet"), ("dump", ".csv.gz")):
        file = write(tmp_path / f"x{suffix}", [{"user_id": f"u{n}", "ts": "2026-02-01T00:00:00Z"} for n in range(3)])
        file = file.rename(tmp_path / name)
        found = guess(file)
        table = tomllib.loads(found.toml)["connections"]["shop"]
        assert table["format"] == suffix.split(".")[1]
        assert table["columns"]["name"] == {"constant": "dump"}
        assert len(read(file, found)[0]) == 3
        assert_loads(found.rules)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no rows"),
        (b"user_id,ts\n", "it has no rows"),
        (b"colour,size\nred,1\n", "looks like a time or a person's identifier. Its columns: colour, size"),
        (b"colour,ts\nred,2026-02-01T00:00:00Z\n", "looks like a person's identifier"),
        (b"\x1f\x8bno gzip", "can not be read"),
    ],
)
def test_a_file_that_tells_nothing_needs_a_human(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "e.csv").write_bytes(content)
    with pytest.raises(NeedsHuman) as raised:
        guess(tmp_path / "e.csv")
    assert message in str(raised.value)


def test_a_path_and_a_name_that_need_quotes(tmp_path: Path) -> None:
    file = write(tmp_path / 'a "b" \\ c.csv', [{"user_id": "u", "event": "view", "ts": "2026-02-01T00:00:00Z"}])
    found = guess(file, "my shop")
    assert tomllib.loads(found.toml)["connections"]["my shop"]["path"] == file.as_posix()


# ---------------------------------------------------------------- real files


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data beside the repository is not here")


@needs_shared
def test_the_shop(tmp_path: Path) -> None:
    found = guess(SHARED / "ecom.csv.gz")
    table = tomllib.loads(found.toml)["connections"]["shop"]
    assert table["columns"] == {"name": "event", "time": {"column": "timestamp", "zone": "UTC"}}
    assert table["identifiers"] == {"user_id": "user_id"}
    assert read(SHARED / "ecom.csv.gz", found)[1] == []
    assert "product_view 1,099" in found.summary
    assert next(iter(found.events)) == "product_view"
    program = load_text(found.rules).program
    assert program.patterns["purchase"].macro
    assert "add_to_cart_no_purchase" in program.segments
    assert_loads(found.rules)


@needs_shared
def test_the_videos() -> None:
    file = SHARED / "snowplow_media" / "snowplow_media_player_events.csv.gz"
    found = guess(file)
    table = tomllib.loads(found.toml)["connections"]["shop"]
    assert table["columns"]["id"] == "event_id"
    assert table["identifiers"] == {"client_id": "domain_userid"}
    records, rejected = read(file, found)
    assert (len(records), rejected) == (248, [])


# ---------------------------------------------------------------- rules


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=30)
        | st.sampled_from(["purchase", "cart", "Cart", "sign up", "a", "123", "é", "/x"]),
        st.integers(1, 9),
        min_size=1,
        max_size=12,
    )
)
def test_rules_of_any_names_load(names: dict[str, int]) -> None:
    assert_loads(first_rules({name.strip() or "x": count for name, count in names.items()}))


@pytest.mark.parametrize(
    ("names", "goal"),
    [
        (["home", "purchase", "sign_up"], "purchase"),
        (["Sign Up", "page_view", "demo_video_view"], "sign_up"),
        (["generate_lead", "lead_form_view"], "generate_lead"),
        (["DealWon", "demo_requested"], "deal_won"),
        (["order_failed", "order_history", "checkout started"], None),
    ],
)
def test_the_goal_is_what_is_nearest_to_money(names: list[str], goal: str | None) -> None:
    program = load_text(first_rules(dict.fromkeys(names, 1))).program
    assert [pattern.name for pattern in program.patterns.values() if pattern.macro] == ([goal] if goal else [])
