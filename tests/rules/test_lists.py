"""Lists of known people: what a file may look like, and what is said of one that can not be used."""

from hashlib import sha256
from pathlib import Path

import pytest

from leadup.errors import RuleError
from leadup.rules import lists
from leadup.rules.lists import read_list
from leadup.rules.loader import load, load_text
from leadup.types import Kind

RULES = """\
version: 1
lists:
  customers: {file: customers.csv, match: email}
segments:
  known: {when: {in_list: customers}}
"""
ADA, BOB = (sha256(address.encode()).hexdigest() for address in ("ada@example.com", "bob@example.com"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("email\nada@example.com\nbob@example.com\n", id="one column"),
        pytest.param(
            "\ufeffemail\r\n ADA@Example.com \r\nbob@example.com\r\nbob@example.com", id="a BOM, spaces, CRLF"
        ),
        pytest.param('name;email\n"A; A";ada@example.com\n"B\nB";bob@example.com\n', id="semicolons, quotes, lines"),
        pytest.param("id\temail\n1\tada@example.com\n\n2\n3\t\n4\tbob@example.com\n", id="tabs, and rows without one"),
        pytest.param(f"email\n{ADA}\n{BOB.upper()}\n", id="hashed already"),
    ],
)
def test_a_list_holds_hashes(content: str) -> None:
    listing = read_list("customers.csv", content.encode(), Kind.EMAIL)
    assert (listing.values, listing.errors, listing.warnings) == ({ADA, BOB}, (), [])


@pytest.mark.parametrize(
    ("match", "column", "cell", "held"),
    [
        (Kind.USER_ID, "user_id", " u1 ", "u1"),
        (Kind.USER_ID, "Account", "ada@example.com", f"sha256:{ADA}"),
        (Kind.PHONE, "phone", "030 1234567", sha256(b"+49301234567").hexdigest()),
        (Kind.HUBSPOT_ID, "Record ID", "101", "101"),
    ],
)
def test_identifiers_are_in_the_form_that_events_have(match: Kind, column: str, cell: str, held: str) -> None:
    content = f"x,{column}\n1,{cell}\n".encode()
    assert read_list("l.csv", content, match, column=column, region="DE").values == {held}


def test_the_same_people_in_another_order_are_the_same_list() -> None:
    one, other, fewer = (
        read_list("l.csv", f"email\n{rows}".encode(), Kind.EMAIL).digest
        for rows in ("ada@example.com\nbob@example.com", f"BOB@example.com\n{ADA}\n{ADA}", "ada@example.com")
    )
    assert one == other != fewer


@pytest.mark.parametrize(
    ("content", "place", "message", "hint"),
    [
        ("", (1, 1), "This list is empty.", "email"),
        ("email\n", (1, 1), 'No row has anything in column "email".', "written to its end"),
        ("email,email\na@b.example,\n", (1, 1), 'Two columns are called "email".', "another name"),
        ("E-Mail,name\na@b.example,\n", (1, 1), 'There is no column "email".', 'write `column: "E-Mail"`'),
        ("address,name\na@b.example,\n", (1, 1), 'There is no column "email".', "one of: address, name"),
        ("ada@example.com\nbob@example.com\n", (1, 1), "The first line holds an address.", "email"),
        ("name,email\nada@example.com,Ada\nbob@example.com,Bob\n", (2, 1), "2 of 2 rows hold no e-mail", "right"),
        ("email\n\"ada@example.com\nbob@example.com\n", (2, 1), "This is not CSV: unexpected end of data.", ""),
        (b"email\na@b.example\nx\xe4@b.example\n", (3, 2), "This is not UTF-8 text.", "save it as UTF-8"),
        (b"email\n" + b"x" * lists.MAX_BYTES, (1, 1), "This list is longer than 32 MiB.", "split"),
    ],
)  # fmt: skip
def test_a_list_that_can_not_be_used(content: str | bytes, place: tuple[int, int], message: str, hint: str) -> None:
    listing = read_list("l.csv", content if isinstance(content, bytes) else content.encode(), Kind.EMAIL)
    (problem,) = listing.errors
    assert (problem.file, problem.line, problem.column) == ("l.csv", *place)
    assert message in problem.message
    assert hint in problem.hint
    assert not listing.values
    assert "ada@" not in str(problem)


def test_rows_that_hold_no_address_are_left_out_at_their_place_and_never_quoted() -> None:
    content = 'name,email\nAda,ada@example.com\n"B, B",bob@@example.com\n"C\nC",carl(at)example.com\nD,d@example.com\n'
    listing = read_list("l.csv", content.encode() + b"E,e@example.com\n", Kind.EMAIL)
    assert len(listing.values) == 3
    assert [(one.line, one.column) for one in listing.warnings] == [(3, 8), (4, 1)]
    assert "This is no e-mail address; the row is left out." in str(listing.warnings[0])
    assert not any("bob" in str(one) or "carl" in str(one) for one in listing.warnings)


def test_of_many_bad_rows_the_first_are_shown() -> None:
    rows = "".join(f"a{n}@example.com\nx{n}\n" for n in range(50))
    warnings = read_list("l.csv", f"email\n{rows}".encode(), Kind.EMAIL).warnings
    assert len(warnings) == lists.SHOWN + 1
    assert warnings[-1].message == "30 more rows hold no e-mail address."


# ---------------------------------------------------------------- in rule files


def write(folder: Path, rules: str = RULES, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    path = folder / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    return path


def test_rules_are_other_rules_when_somebody_comes_onto_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, customers="email\nada@example.com\n")
    first = load([path])
    assert first.watched == (tmp_path / "customers.csv",)
    assert first.lists["customers"].values == {ADA}
    again, more = load([path]), load([write(tmp_path, customers="email\nbob@example.com\nada@example.com\n")])
    assert first.program.fingerprint == again.program.fingerprint != more.program.fingerprint


def problem_of(path: Path) -> tuple[str, RuleError]:
    with pytest.raises(RuleError) as caught:
        load([path])
    (problem,) = caught.value.problems
    return str(problem), caught.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    text, error = problem_of(write(tmp_path, customer="email\n"))
    assert text.startswith(
        f"{tmp_path / 'rules.yaml'}:3:21: {tmp_path / 'customers.csv'} can not be read: there is none."
    )
    assert 'did you mean "customer.csv"?' in text
    assert error.watched == (str(tmp_path / "customers.csv"),)


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").mkdir()
    assert "it is no file" in problem_of(write(tmp_path))[0]


def test_what_is_wrong_in_a_list_is_said_at_its_place(tmp_path: Path) -> None:
    text, _ = problem_of(write(tmp_path, customers="mail\nada@example.com\n"))
    assert text.startswith(f'{tmp_path / "customers.csv"}:1:1: There is no column "email".')


def test_bad_rows_are_warnings(tmp_path: Path) -> None:
    (warning,) = load([write(tmp_path, customers="email\nada@example.com\nn/a\nx@\n".replace("n/a\n", ""))]).warnings
    assert str(warning).startswith(f"{tmp_path / 'customers.csv'}:3:1: This is no e-mail address")


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("in_list: customers", "in_list: customer", 'There is no list "customer".', 'did you mean "customers"?'),
        ("in_list: customers", "in_list: known", 'There is no list "known".', '"known" is a segment'),
        ("in_list: customers}", "in_list: customers}, exclude: [custom]", "There is no segment or list", "did"),
        ("match: email", "match: e_mail", "`match` must be", 'did you mean "email"?'),
        ("match: email", "match: email, colum: x", '"colum" is not a key of a list.', 'did you mean "column"?'),
        ("file: customers.csv, ", "", "A list needs `file`.", "keys of a list: column, file, match"),
        ("  known:", "  customers:", 'There is a segment "customers", too.', "another name"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, old: str, new: str, message: str, hint: str) -> None:
    path = write(tmp_path, RULES.replace(old, new), customers="email\nada@example.com\n")
    text, _ = problem_of(path)
    assert message in text
    assert hint in text


def test_a_list_that_no_rule_uses_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path, RULES.replace("{in_list: customers}", "{person: {a: b}}"), customers="email\na@b.example\n")
    (warning,) = load([path]).warnings
    assert warning.message == 'No rule uses "customers".'
    used = RULES.replace("{in_list: customers}", "{person: {a: b}}, exclude: [customers]")
    assert load([write(tmp_path, used)]).warnings == ()


def test_a_text_finds_its_lists_beside_it(tmp_path: Path) -> None:
    write(tmp_path, customers="email\nada@example.com\n")
    assert load_text(RULES, str(tmp_path / "rules.yaml")).lists["customers"].values == {ADA}
