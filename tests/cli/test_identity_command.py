"""``leadup identity normalise``: one answer for each value, in order, and a kind word for who asks wrongly."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from leadup.cli import main

ANN = hashlib.sha256(b"annlee@gmail.com").hexdigest()
ASK = ("identity", "normalise")
GOOGLE = ("--for", "google_ads")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with no leadup.toml above it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADUP_CONFIG", raising=False)
    return tmp_path


def ask(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [*ASK, *arguments], input=stdin)


def answers(*arguments: str, stdin: bytes | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask(*arguments, "--json", stdin=stdin).stdout.splitlines()]


def test_values_are_answered_in_order() -> None:
    done = ask("email", "Ann.Lee+x@gmail.com", "nobody", *GOOGLE)
    assert done.exit_code == 1, "a value was refused"
    first, second = done.stdout.splitlines()
    assert first.split() == ["Ann.Lee+x@gmail.com", "annlee@gmail.com", ANN]
    assert second.endswith("refused: there is no @ in it")
    assert ask("email", "Ann.Lee+x@gmail.com", *GOOGLE).exit_code == 0


def test_answers_in_json() -> None:
    assert answers("email", "Ann.Lee+x@gmail.com", "", *GOOGLE) == [
        {"input": "Ann.Lee+x@gmail.com", "normalised": "annlee@gmail.com", "sha256": ANN},
        {"input": "", "refused": "it is empty"},
    ]
    assert answers("country_code", "de", *GOOGLE) == [{"input": "de", "normalised": "DE", "sha256": None}]
    assert answers("email", ANN.upper(), *GOOGLE)[0]["sha256"] == ANN


def test_the_hash_in_base64() -> None:
    (answer,) = answers("email", "ANN.lee@gmail.com", *GOOGLE, "--encoding", "base64")
    assert answer["sha256"] == "FuICvc2WRq8R+qOlo7nAemMD6WKVgyRvggjkPFKQh94="


def test_what_is_taken_in_the_clear_says_so() -> None:
    assert "not hashed" in ask("postal_code", "10115", *GOOGLE).stdout


def test_each_line_of_standard_input_has_its_answer() -> None:
    lines = b"\xef\xbb\xbfa@example.com\r\n\n \nb\xff@example.com\n" + b"x" * 3_000_000 + b"\nnul\0\nlast@example.com"
    found = answers("email", *GOOGLE, stdin=lines)
    assert [one.get("normalised") or one["refused"] for one in found] == [
        "a@example.com",
        "it is empty",
        "it is empty",
        "line 4: byte 2 of the line is not UTF-8",
        "line 5: the line is longer than 1,048,576 bytes",
        "line 6: the line holds a NUL byte",
        "last@example.com",
    ]
    assert [one["input"] for one in found[:4]] == ["a@example.com", "", " ", "b\\xff@example.com"]
    assert len(found[4]["input"]) <= 2_000


def test_a_line_is_answered_before_the_next_is_given() -> None:
    command = [sys.executable, "-m", "leadup", *ASK, "email", *GOOGLE, "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("a", "b"):
            process.stdin.write(f"{name}@example.com\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["normalised"] == f"{name}@example.com"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in ask("email", "\x1b[2Jann", *GOOGLE).stdout


def test_a_region_for_phones_is_given_or_set_or_missing(nowhere: Path) -> None:
    number = ("phone", "030 901820", *GOOGLE)
    assert answers(*number, "--region", "de")[0]["normalised"] == "+4930901820"
    assert "no region" in answers(*number)[0]["refused"]
    (nowhere / "leadup.toml").write_text(
        'region = "DE"\n[connections.ads_eu]\ntype = "google_ads"\noperating_account = "123-456-7890"\n', "utf-8"
    )
    assert answers(*number)[0]["normalised"] == "+4930901820"
    assert answers("phone", "030 901820", "--for", "ads_eu")[0]["normalised"] == "+4930901820"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("emial", "x", *GOOGLE), ['did you mean "email"?', "google_ads has: email, phone"]),
        (("email", "x", "--for", "google_adz"), ['did you mean "google_ads"?', "google_ads"]),
        (("email", "x", "--for", "hubspot"), ["no normal forms of its own", "google_ads"]),
        (("phone", "x", *GOOGLE, "--region", "UK"), ["the code is GB"]),
        (("email", "x"), ["Missing option '--for'"]),
    ],
)
def test_a_slip_is_wrong_usage_and_gets_the_nearest_word(arguments: tuple[str, ...], words: list[str]) -> None:
    done = ask(*arguments)
    assert done.exit_code == 2
    assert all(word in " ".join(done.stderr.split()) for word in words), done.stderr


def test_a_region_that_is_no_country_is_a_wrong_setting(nowhere: Path) -> None:
    (nowhere / "leadup.toml").write_text('region = "UK"', "utf-8")
    done = ask("phone", "020 7946 0958", *GOOGLE)
    assert done.exit_code == 4
    assert "leadup.toml: region: " in done.stderr
    assert "the code is GB" in done.stderr
    assert ask("email", "a@example.com", *GOOGLE).exit_code == 0, "it has nothing to do with phones"


def test_a_file_that_was_asked_for_must_be_there() -> None:
    done = CliRunner().invoke(main, ["--config", "elsewhere.toml", *ASK, "phone", "x", *GOOGLE])
    assert done.exit_code == 4
    assert "elsewhere.toml" in done.stderr
