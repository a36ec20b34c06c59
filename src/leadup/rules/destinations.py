"""What must agree in ``activate``: there is such a connection, and no audience is called there what another one is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from leadup.errors import Problem
from leadup.rules.names import Loaded
from leadup.rules.program import Activation
from leadup.rules.source import Path
from leadup.rules.suggest import did_you_mean


def errors(files: Sequence[Loaded], connections: Collection[str] | None) -> Iterator[Problem]:
    """Yield what keeps things from being sent; ``connections`` None: not known, not checked.

    A leave of one segment would take out members of another one that is kept in the same audience. Several conversions
    may well be one action of Google, and the name of a property is what people read there.
    """
    first: dict[tuple[str, str], tuple[str, Loaded, Path]] = {}
    for file in files:
        yield from _connections(file, connections)
        for section, name, path, to in _sent(file):
            if section != "segments":
                continue
            called = to.called(name)
            twin, other, there = first.setdefault((to.connection, called), (name, file, path))
            if twin != name:
                at = other.document.problem((*there, "name"), "")
                text = f'"{twin}" is called "{called}" at "{to.connection}" as well.'
                hint = f"that is at {at.file}:{at.line}:{at.column}; give one of the two another `name`"
                yield file.document.problem((*path, "name"), text, hint)


def _connections(file: Loaded, connections: Collection[str] | None) -> Iterator[Problem]:
    seen: set[tuple[str, str, str]] = set()
    for section, name, path, to in _sent(file):
        path = (*path, "to")
        if (section, name, to.connection) in seen:
            yield file.document.problem(path, f'"{to.connection}" is here twice.')
        elif connections is not None and to.connection not in connections:
            known = f"connections: {', '.join(sorted(connections))}" if connections else "leadup.toml has none"
            hint = did_you_mean(to.connection, connections) or known
            yield file.document.problem(path, f'There is no connection "{to.connection}".', hint)
        seen.add((section, name, to.connection))


def _sent(file: Loaded) -> Iterator[tuple[str, str, Path, Activation]]:
    """Yield what is sent somewhere: section, name, where that is written, and where it is sent."""
    for section in ("segments", "properties", "conversions"):
        for name, sender in getattr(file.rules, section).items():
            for index, it in enumerate(sender.activate or ()):
                plain = isinstance(it, str)
                to = Activation(connection=it) if plain else Activation(connection=it.to, name=it.name or "")
                yield section, name, (section, name, "activate", index), to
