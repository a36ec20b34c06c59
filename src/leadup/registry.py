"""Finds connectors by their entry points (group ``leadup.connectors``) and loads their parts on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from leadup.errors import SettingsError
from leadup.kit import Connector

GROUP = "leadup.connectors"


def names() -> list[str]:
    """Names of all installed connectors, sorted."""
    return sorted(_installed())


def find(name: str) -> Connector:
    """Return the manifest of the connector called ``name``.

    Raises:
        SettingsError: none is installed under that name.
    """
    entry = _installed().get(name)
    if entry is not None:
        connector: Connector = entry.load()
        return connector
    near = get_close_matches(name, names(), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SettingsError(f"There is no connector {name!r}.{hint} Installed: {', '.join(names())}.")


@cache
def _installed() -> Mapping[str, EntryPoint]:
    """Return the entry points by name. To find them reads the metadata of every package there is: 10 ms."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def load(reference: str) -> Any:
    """Import ``"module:attribute"``.

    Raises:
        SettingsError: the vendor's SDK is not installed; the text names the extra to install.
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("leadup", "leadup_connectors")):
            raise
        vendor = module.split(".")[1]
        raise SettingsError(
            f"Connector {vendor!r} needs the package that provides {error.name!r}.\n"
            f"  What to do: pip install 'leadup[{vendor.replace('_', '-')}]'"
        ) from error
