"""The recipes that come with leadup: rule files of one idea each, to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).resolve()
_MODELINE = re.compile(r"^# yaml-language-server: \$schema=\S+\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One recipe: its name, the text of its file, and the comment at its head in one line."""

    name: str
    text: str

    @property
    def about(self) -> str:
        """What it is for: the first sentences of the file."""
        return " ".join(line.removeprefix("#").strip() for line in self._head())

    @property
    def title(self) -> str:
        """The first sentence of :attr:`about`."""
        return re.split(r"(?<=[.?])\s", self.about, maxsplit=1)[0]

    def _head(self) -> Iterator[str]:
        for line in _MODELINE.sub("", self.text).splitlines():
            if not line.startswith("#"):
                return
            yield line

    def beside(self, schema: str) -> str:
        """Return the text for a file from which the JSON Schema is found at ``schema``, a relative path."""
        return _MODELINE.sub(f"# yaml-language-server: $schema={schema}\n", self.text, count=1)


def folder() -> Path:
    """Where the recipes are: in a checkout, or in the installed package."""
    checkout = _HERE.parents[3] / "rules" / "recipes"
    return checkout if checkout.is_dir() else _HERE.parents[1] / "recipes"


def recipes() -> dict[str, Recipe]:
    """Return all recipes by name, in order of their names."""
    files = sorted(folder().glob("*.yaml"))
    return {file.stem: Recipe(name=file.stem, text=file.read_text(encoding="utf-8")) for file in files}
