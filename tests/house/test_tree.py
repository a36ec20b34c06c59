"""What every file of the repository keeps to."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INDEX_HOST = re.compile(r"py[p]i\.org|pythonhoste[d]\.org|npmj[s]\.(?:com|org)|(?:deb|security)\.debia[n]\.org")
MACHINE_PATH = re.compile(r"(?<![\w./])/(?:farm|root|tmp|work|Users)/[\w.-]+")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def files() -> list[Path]:
    """All files that are, or could be, committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the repository's files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def lines() -> Iterator[tuple[str, str]]:
    """Each line of each text file, with its place."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


@pytest.mark.parametrize("pattern", [INDEX_HOST, MACHINE_PATH], ids=["package index", "path of one machine"])
def test_nothing_names_what_other_machines_do_not_have(pattern: re.Pattern[str]) -> None:
    assert [f"{place}: {line.strip()}" for place, line in lines() if pattern.search(line)] == []


def test_no_two_test_files_have_one_name() -> None:
    """Else the runner takes one for the other."""
    names = [path.name for path in files() if path.name.startswith("test_") and path.suffix == ".py"]
    assert sorted(names) == sorted(set(names))


def anchors(text: str) -> set[str]:
    """The anchors that headings make: lower case, punctuation dropped, spaces as hyphens."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def test_every_link_in_the_docs_leads_somewhere() -> None:
    known = set(files())
    dead = []
    for page in (path for path in known if path.suffix == ".md"):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for link in LINK.findall(text):
            if re.match(r"\w+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            exists = target in known or any(target in path.parents for path in known)
            if not exists or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                dead.append(f"{page.relative_to(ROOT)}: {link}")
    assert dead == []


def test_the_changelog_tells_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    released = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert version in released


def test_everything_public_is_documented() -> None:
    """Modules, classes and functions; a method that does what its base class says needs no words of its own."""
    rules = "D100,D101,D103,D104,D419"
    found = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", rules, "--output-format", "concise", "src", "connectors"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
