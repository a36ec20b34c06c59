"""Reads rule files. What is wrong with them is said all at once, with file, line and column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leadup.errors import Problem, RuleError
from leadup.rules import checks, lists, source, words
from leadup.rules.cases import Test
from leadup.rules.compile import compile_rules
from leadup.rules.lists import Listing, read_list
from leadup.rules.model import PeopleList, RuleFile
from leadup.rules.names import Declared, Loaded
from leadup.rules.program import Program
from leadup.rules.source import Document
from leadup.rules.suggest import did_you_mean
from leadup.rules.vocabulary import Part


@dataclass(frozen=True, slots=True)
class Case:
    """A test of a rule file; ``path`` leads to it in its document."""

    document: Document
    path: source.Path
    test: Test


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rule files that load."""

    program: Program
    tests: tuple[Case, ...] = ()
    """In the order of the files."""
    warnings: tuple[Problem, ...] = ()
    """What is allowed and probably not meant."""
    files: tuple[Loaded, ...] = ()
    """Each file's text with the place of every key and value, and its parts as they were written."""
    lists: Mapping[str, Listing] = field(default_factory=dict)
    """Who is on each list."""
    watched: tuple[Path, ...] = ()
    """The files of the lists: with another content, these are other rules."""


def load(
    paths: Sequence[Path],
    connections: Collection[str] | None = None,
    *,
    region: str | None = None,
    limits: Mapping[str, int] | None = None,
) -> Rules:
    """Load rule files and folders of them (every ``*.yaml`` and ``*.yml`` directly inside; no folders in folders).

    ``connections`` are the names of ``leadup.toml`` that rules may activate; None: they are not checked. ``region`` is
    the country (ISO 3166) of phone numbers without ``+`` and country code in lists. ``limits``: of connections that
    have one, for how many microseconds the value of a conversion can be changed there.

    Raises:
        RuleError: something is wrong; holds every problem found.
    """
    found, problems = _find(paths)
    return _load([*_read(found, problems)], problems, connections, region, limits or {})


def load_text(
    text: str,
    file: str = "rules.yaml",
    connections: Collection[str] | None = None,
    limits: Mapping[str, int] | None = None,
) -> Rules:
    """Load one rule file that is not on disk; ``file`` is its name in messages, and its lists are looked for beside it.

    Raises:
        RuleError: as :func:`load`.
    """
    return _load([(file, text.encode(errors="surrogatepass"))], [], connections, None, limits or {})


# ---------------------------------------------------------------- files

_SUFFIXES = (".yaml", ".yml")


def _find(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in map(Path, paths):
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            problems.append(Problem(str(path), 1, 1, f"This can not be read: {error.strerror}."))
            continue
        if path.is_dir():
            inside = [it for it in inside if it.suffix in _SUFFIXES and it.is_file() and not it.name.startswith(".")]
            if not inside:
                problems.append(Problem(str(path), 1, 1, "No rule file (*.yaml, *.yml) is in this folder."))
        elif path.exists() and not path.is_file():  # a pipe, say: it may never end
            problems.append(Problem(str(path), 1, 1, "This is neither a file nor a folder."))
            continue
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values()), problems


def _read(files: Iterable[Path], problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        try:
            with file.open("rb") as opened:
                content = opened.read(source.MAX_BYTES + 1)
        except OSError as error:
            problems.append(Problem(str(file), 1, 1, f"This can not be read: {error.strerror}."))
        else:
            yield str(file), content


# ---------------------------------------------------------------- texts to rules


def _load(
    texts: Iterable[tuple[str, bytes]],
    problems: list[Problem],
    connections: Collection[str] | None,
    region: str | None,
    limits: Mapping[str, int],
) -> Rules:
    unread = bool(problems)  # names may well be declared in what could not be read
    documents: list[Document] = []
    for file, content in texts:
        document, found = source.read(file, content)
        documents.append(document)
        problems += found
        unread |= document.data is None
    files: list[Loaded] = []
    for document in documents:
        if document.data is not None:
            rules, whole = _well_formed(document, problems)
            files.append(Loaded(document, rules))
            unread |= not whole
    declared = Declared()
    for loaded in files:
        declared.add(loaded.document)
    problems += declared.problems
    if not unread:
        problems += checks.errors(files, declared, connections, limits)
    declaring = [(loaded, name, it) for loaded in files for name, it in loaded.rules.lists.items()]
    listings = {name: _listing(loaded, name, it, region, problems) for loaded, name, it in declaring}
    watched = tuple(dict.fromkeys(_beside(loaded, it) for loaded, _, it in declaring))
    if problems:
        order = {document.file: index for index, document in enumerate(documents)}
        problems.sort(key=lambda p: (order.get(p.file, -1), p.line, p.column))
        raise RuleError(problems, watched=[*map(str, watched)])
    return Rules(
        program=compile_rules(files, {name: one.digest for name, one in listings.items()}),
        tests=tuple(
            Case(loaded.document, ("tests", index), test)
            for loaded in files
            for index, test in enumerate(loaded.rules.tests)
        ),
        warnings=(*checks.warnings(files), *(it for listing in listings.values() for it in listing.warnings)),
        files=tuple(files),
        lists=listings,
        watched=watched,
    )


def _beside(loaded: Loaded, it: PeopleList) -> Path:
    return Path(loaded.document.file).parent / it.file


def _listing(loaded: Loaded, name: str, it: PeopleList, region: str | None, problems: list[Problem]) -> Listing:
    """Read the file of a list; what is wrong with it goes to ``problems``."""
    path, reason, hint = _beside(loaded, it), "", ""
    try:
        if path.exists() and not path.is_file():  # a pipe, say: it may never end
            reason = "it is no file"
        else:
            with path.open("rb") as opened:
                content = opened.read(lists.MAX_BYTES + 1)
    except FileNotFoundError:
        reason, hint = "there is none", did_you_mean(path.name, _neighbours(path))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        hint = hint or "it is looked for from the folder of this file"
        problems.append(loaded.document.problem(("lists", name, "file"), f"{path} can not be read: {reason}.", hint))
        return Listing(match=it.match)
    listing = read_list(str(path), content, it.match, column=it.column or "", region=region)
    problems += listing.errors
    return listing


def _neighbours(path: Path) -> list[str]:
    try:
        return [one.name for one in path.parent.iterdir()]
    except OSError:
        return []


def _well_formed(document: Document, problems: list[Problem]) -> tuple[RuleFile, bool]:
    """Return the parts of a document that are well formed, and whether all its sections could be read.

    What is wrong goes to ``problems``.
    """
    owners: dict[int, type[Part]] = {}
    try:
        return RuleFile.model_validate(document.data, context=owners), True
    except ValidationError as error:
        problems += words.problems(document, error, owners)
        places = [e["loc"] for e in error.errors()]
        sections_read = all(len(place) > 1 or place == ("version",) for place in places)
        return RuleFile.model_validate(_without(document.data, places)), sections_read


def _without(data: Any, places: Iterable[tuple[int | str, ...]]) -> dict[str, Any]:
    """Return the data of a rule file less the named parts, or else the sections, that ``places`` lead into."""
    sections = data.items() if isinstance(data, dict) else ()
    good = {key: dict(section) if isinstance(section, dict) else section for key, section in sections}
    for section, *rest in filter(None, places):
        if rest and isinstance(good.get(str(section)), dict):
            good[str(section)].pop(rest[0], None)
        else:
            good.pop(str(section), None)
    return {**good, "version": 1}
