"""YAML text to plain data in which every key and every value knows its place."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from leadup.errors import Problem

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a file down to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: 1-based line and column, width in characters, and the text itself."""

    line: int
    column: int
    width: int = 1
    text: str = ""


class Lines:
    """A text by lines, numbered from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]

    def __getitem__(self, number: int) -> str:
        end = self._starts[number] if number < len(self._starts) else len(self._text)
        return self._text[self._starts[number - 1] : end].rstrip("\r\n")

    def place(self, start: int, end: int = 0) -> Place:
        """Return the place of ``text[start:end]``; its width ends with its first line."""
        start = min(start, len(self._text))
        line = bisect_right(self._starts, start)
        column = start - self._starts[line - 1] + 1
        width = len(self[line][column - 1 :][: max(end - start, 0)].rstrip())
        return Place(line, column, max(width, 1), self._text[start:end])


_NEWLINE = re.compile("\r\n|[\r\n]")  # as ruamel.yaml counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file: its data (``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, ``None``) and their places."""

    file: str
    lines: Lines
    data: Any = None
    keys: Mapping[Path, Place] = field(default_factory=dict)
    values: Mapping[Path, Place] = field(default_factory=dict)

    def problem(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """Return a problem at the value that ``path`` leads to, or at its key.

        What is not written (a missing key, a key without a value) is complained of at the nearest place above it.
        """
        while True:
            first, second = (self.keys, self.values) if at_key else (self.values, self.keys)
            place = first.get(path) or second.get(path)
            if place or not path:
                return self.problem_at(place or Place(1, 1), message, hint)
            path, at_key = path[:-1], True

    def problem_at(self, place: Place, message: str, hint: str = "") -> Problem:
        """Return a problem at ``place``."""
        return Problem(self.file, place.line, place.column, message, hint, self.lines[place.line], place.width)


def read(file: str, content: bytes) -> tuple[Document, list[Problem]]:
    """Read one YAML 1.2 document. What is wrong with the text comes as problems, never as an exception.

    Anchors, aliases, tags and directives are refused: a rule file says what it means where it says it.
    """
    if len(content) > MAX_BYTES:
        document = Document(file=file, lines=Lines(""))
        hint = "split it: all files of a folder are read together"
        return document, [document.problem((), f"This file is longer than {MAX_BYTES >> 20} MiB.", hint)]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        document = Document(file=file, lines=(lines := Lines(before)))
        return document, [document.problem_at(lines.place(len(before)), "This is not UTF-8 text.", "save it as UTF-8")]
    lines = Lines(text)
    document = Document(file=file, lines=lines)
    try:
        root = _compose(text)
    except _NotYaml as error:
        return document, [document.problem_at(lines.place(error.start, error.end), error.message, error.hint)]
    if root is None or str(root.tag).endswith(":null"):
        return document, [document.problem((), "This file is empty.", "a rule file begins with: version: 1")]
    builder = _Builder(document, lines)
    data = builder.build(root, ())
    return Document(file=file, lines=lines, data=data, keys=builder.keys, values=builder.values), builder.problems


# ---------------------------------------------------------------- text to nodes


class _NotYaml(Exception):
    """The text stops being a rule file's YAML at ``start``."""

    def __init__(self, start: int, message: str, hint: str = "", end: int = 0) -> None:
        super().__init__(message)
        self.start, self.end, self.message, self.hint = start, end, message, hint


class _Composer(Composer):
    """Refuses what makes YAML hard to read or dangerous to load."""

    nesting = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent) or event.anchor is not None:
            what = "An alias (*name)" if isinstance(event, AliasEvent) else "An anchor (&name)"
            raise _NotYaml(event.start_mark.index, f"{what} is not allowed in a rule file.", "write it out")
        if getattr(event, "ctag", None) is not None:
            raise _NotYaml(event.start_mark.index, f"A tag ({event.ctag}) is not allowed in a rule file.", "remove it")
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            raise _NotYaml(event.start_mark.index, f"This is nested more than {MAX_DEPTH} levels deep.")
        node = super().compose_node(parent, index)
        self.nesting -= 1
        return node


def _compose(text: str) -> Node | None:
    directive = re.search(r"^%.*", text, re.MULTILINE)
    if directive:
        hint = "remove it; rule files are YAML 1.2"
        raise _NotYaml(directive.start(), "A directive is not allowed in a rule file.", hint, directive.end())
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        root: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _in_plain_words(error, text) from None
    except ReaderError as error:
        raise _NotYaml(error.position, f"The character U+{error.character:04X} is not allowed.", "remove it") from None
    except (ValueError, OverflowError):  # ruamel.yaml calls chr() on whatever an escape says
        escape = re.search(r"\\U(?!000|0010)[0-9A-Fa-f]{8}", text)
        start, end = escape.span() if escape else (0, 0)
        raise _NotYaml(start, "There is no such character.", "the last one is \\U0010FFFF", end) from None
    return root


_PLAIN_WORDS: Final = (
    # what ruamel.yaml says, what we say, what to do
    (r"mapping values are not allowed", 'A ":" does not fit here.', "quote text with a colon; check the indentation"),
    (r"found character '\\t'", "A tab can not indent.", "YAML indents by spaces"),
    (r"found character '(.+)' that cannot", r"Text can not begin with \1.", "put the text in quotes"),
    (r"expected ',' or '\]'", "A comma or the closing ] is missing.", "a list in brackets is written [a, b]"),
    (r"expected ',' or '}'", "A comma or the closing } is missing.", "a mapping in braces is written {a: 1, b: 2}"),
    (r"unexpected end of stream", "This quote is never closed.", ""),
    (r"expected '?<(block end|doc)", "This does not fit into what is above it.", "check the indentation and brackets"),
    (r"could not find expected ':'", 'A ":" is missing after this key.', "write key: value"),
    (r"expected the node content", "A value is missing here.", ""),
    (r"unknown escape character '(.+)'", r"\\\1 means nothing in double quotes.", "use single quotes, or double it"),
    (r"found another document", "A second document begins here.", "one file holds one document; remove the ---"),
)  # fmt: skip


def _in_plain_words(error: MarkedYAMLError, text: str) -> _NotYaml:
    said = f"{error.context}; {error.problem}"
    mark = error.problem_mark or error.context_mark
    start = mark.index
    if error.context_mark is not None and (not text[start:].strip() or "quoted scalar" in said):
        start = error.context_mark.index  # what was opened and not closed says more than the end of the file
    for pattern, message, hint in _PLAIN_WORDS:
        found = re.search(pattern, said)
        if found:
            return _NotYaml(start, found.expand(message), hint)
    return _NotYaml(start, f"This is not YAML: {re.sub('[<>]', '', str(error.problem))}.")


# ---------------------------------------------------------------- nodes to data


class _Builder:
    def __init__(self, document: Document, lines: Lines) -> None:
        self._document, self._lines = document, lines
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.problems: list[Problem] = []

    def build(self, node: Node, path: Path) -> Any:
        place = self._place(node)
        if node.end_mark.index > node.start_mark.index:  # else it is an empty value, which stands nowhere
            self.values[path] = place
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, ScalarNode):
                self._complain(place, "A key must be plain text.")
                continue
            key = self._text(key_node, place)
            if key in data:
                first = self.keys[(*path, key)]
                where = f"{self._document.file}:{first.line}:{first.column}"
                self._complain(place, f'"{key}" is written twice.', f"the first one is at {where}")
                continue
            self.keys[(*path, key)] = place
            data[key] = self.build(value_node, (*path, key))
        return data

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        text = self._text(node, place)
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            return _NUMBERS[kind](text) if kind in _NUMBERS else text
        except ValueError:  # "-_" looks like a number to YAML
            return text

    def _text(self, node: ScalarNode, place: Place) -> str:
        try:  # JSON escapes a character beyond U+FFFF in two halves, which ruamel.yaml leaves apart
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._complain(place, "Half of a surrogate pair is not a character.", "write the character itself")
            return ""

    def _place(self, node: Node) -> Place:
        return self._lines.place(node.start_mark.index, node.end_mark.index)

    def _complain(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.append(self._document.problem_at(place, message, hint))


def _whole(text: str) -> int:
    digits = text.replace("_", "")  # 1_000, 0x1F, 0o17; 010 is ten in YAML 1.2
    return int(digits) if digits.lstrip("+-").isdigit() else int(digits, 0)


def _decimal(text: str) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", text.replace("_", "").lower()))


_NUMBERS = {"int": _whole, "float": _decimal}
