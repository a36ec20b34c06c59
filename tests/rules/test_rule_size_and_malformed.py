"""A thousand segments load in good time; two hundred malformed files are each refused at a place inside the file."""

import re
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from leadup.cli import main
from leadup.errors import RuleError
from leadup.rules.loader import load_text
from leadup.rules.recipes import recipes

HANG = 60
"""Seconds after which something hangs. How long it takes is told, and judged by people: machines differ."""


def thousand(segment) -> str:
    """Return a rule file of fifty patterns and a thousand segments; ``segment`` writes one, given its number."""
    patterns = "".join(
        f"  m{n}: {{event: page_view, where: {{path: {{starts_with: /p{n}}}}}, same_within: 30m}}\n" for n in range(50)
    )
    return (
        f"version: 1\nmicro_conversions:\n{patterns}"
        "macro_conversions:\n  sent: {event: generate_lead, same_within: 10m}\n"
        "scores:\n  intent: {half_life: 7d, points: {m0: 10, m1: {points: 5, at_most: 3}}}\n"
        "segments:\n" + "".join(f"  s{n}: {segment(n)}\n" for n in range(1000))
    )


def of_all_kinds(n: int) -> str:
    a, b = n % 50, (n * 7 + 3) % 50
    looked = f"{{did: m{a}, at_least: {1 + n % 4}, within: {7 + n % 80}d}}"
    other = f"{{score: intent, at_least: {10 + n % 9}}}, {{not: {{in_segment: s{n - 1}}}}}"
    return (
        f"{{when: {{all: [{looked}, {{did_not: sent, within: 14d}}, {{person: {{stage: {{ne: customer}}}}}}]}}}}",
        f"{{when: {{started: m{a}, without: sent, for: 1h, within: 7d}}, guard: {{max_leave: 30%}}}}",
        f"{{when: {{sequence: [m{a}, m{b}], span: 3d, within: 30d}}}}",
        f"{{when: {{any: [{other}]}}, exclude: [s{n - 3}]}}",
    )[n % 4]


def in_a_row(n: int) -> str:
    return f"{{when: {{all: [{{did: m{n % 50}}}, {{in_segment: s{n - 1}}}]}}}}" if n else "{when: {did: m0}}"


@pytest.mark.parametrize("segment", [of_all_kinds, in_a_row])
def test_a_thousand_segments_load(segment, record_property):
    began = time.perf_counter()
    rules = load_text(thousand(segment))
    seconds = time.perf_counter() - began
    record_property("seconds", round(seconds, 2))
    assert len(rules.program.segments) == 1000
    assert seconds < HANG


def test_a_thousand_segments_in_a_circle_are_refused_in_good_time():
    began = time.perf_counter()
    with pytest.raises(RuleError) as raised:
        load_text(thousand(lambda n: f"{{when: {{in_segment: s{(n + 1) % 1000}}}}}"))
    assert len(raised.value.problems) == 1
    assert time.perf_counter() - began < HANG


# ---------------------------------------------------------------- malformed files

WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BITS = [*rb"{ } [ ] : - ' \" &a *a !!x % 7 ~ # | 7d << -1 1e999 null".split(), b": ", b"- ", b"\n", b"\t", b"|\n"]
BITS += [b"\x00", b"\xff", "\x85".encode(), "\u2028".encode()]


def without_some(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    return text[:at] + text[at + random.randint(1, 12) :]


def with_something(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    return text[:at] + random.choice(BITS) + text[at:]


def cut_off(text: bytes, random: Random) -> bytes:
    return text[: random.randrange(len(text))]


def other_lines(text: bytes, random: Random) -> bytes:
    lines = text.splitlines(keepends=True)
    a, b = random.randrange(len(lines)), random.randrange(len(lines))
    change = random.randrange(4)
    if change == 0:
        del lines[a]
    elif change == 1:
        lines.insert(b, lines[a])
    elif change == 2:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        lines[a] = b" " * random.randint(1, 3) + lines[a]
    return b"".join(lines)


def another_word(text: bytes, random: Random) -> bytes:
    words = list(WORDS.finditer(text.decode()))
    old, new = random.choice(words), random.choice(words)[0]
    changed = new if random.random() < 0.5 else old[0][:-1] + random.choice("aeiou_")
    return text[: old.start()] + changed.encode() + text[old.end() :]


MUTATIONS = [without_some, with_something, cut_off, other_lines, another_word]
LINE = re.compile("\r\n|[\r\n]")


def malformed() -> list[tuple[str, bytes]]:
    """Mutate recipes until two hundred are refused; the same ones at each run."""
    random, found, bases = Random(4), [], [recipe.text.encode() for recipe in recipes().values()]
    for number in range(2_000):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        text = mutate(random.choice(bases), random)
        try:
            load_text(text.decode("utf-8", "surrogateescape"))
        except RuleError:
            found.append((mutate.__name__, text))
            if len(found) == 200:
                break
    return found


def test_two_hundred_malformed_files_are_each_refused_at_a_place_in_the_file(tmp_path: Path):
    files = malformed()
    assert min(Counter(name for name, _ in files).values()) >= 20
    assert len(files) == 200
    path = tmp_path / "malformed.yaml"
    place = re.compile(rf"^{re.escape(str(path))}:(\d+):(\d+): \S", re.MULTILINE)
    for _, text in files:
        path.write_bytes(text)
        result = CliRunner().invoke(main, ["rules", "check", str(path)])
        said = (text, result.stderr)
        assert result.exit_code == 3, said
        assert isinstance(result.exception, SystemExit), said
        assert "Traceback" not in result.stderr, said
        places = [(int(line), int(column)) for line, column in place.findall(result.stderr)]
        assert places, said
        lines = LINE.split(text.decode("utf-8", "replace").removeprefix("\ufeff"))
        for line, column in places:
            assert 1 <= line <= len(lines), said
            assert 1 <= column <= len(lines[line - 1]) + 1, said
