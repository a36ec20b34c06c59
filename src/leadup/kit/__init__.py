"""All that a connector author imports.

A connector is a folder with the same file names every time: ``__init__.py`` (the manifest below, imports no SDK),
``settings.py``, ``client.py``, ``source.py``, ``push.py`` or ``destination.py``, ``sandbox.py``, ``README.md``. Only
``client`` and ``sandbox`` (each a file or a package) import a vendor's SDK, and they are loaded on first use.
"""

from leadup.bodies import Item, read_body
from leadup.kit.connector import Checkup, ConnectionSettings, Connector, Desk, is_loopback, private_base_url
from leadup.kit.destinations import (
    Adopting,
    Budgeted,
    Counting,
    Creating,
    Destination,
    Foreseeing,
    Inspectable,
    Pollable,
    Readable,
    Replaceable,
    Sized,
)
from leadup.kit.sources import PushSource, Rationed, Source
from leadup.records import (
    LINE_LIMIT,
    RowIds,
    clip,
    decode_line,
    did_you_mean,
    identify,
    needs_id,
    parse_line,
    parse_record,
    shown,
)
from leadup.taxonomy import canonical

__all__ = [
    "LINE_LIMIT",
    "Adopting",
    "Budgeted",
    "Checkup",
    "ConnectionSettings",
    "Connector",
    "Counting",
    "Creating",
    "Desk",
    "Destination",
    "Foreseeing",
    "Inspectable",
    "Item",
    "Pollable",
    "PushSource",
    "Rationed",
    "Readable",
    "Replaceable",
    "RowIds",
    "Sized",
    "Source",
    "canonical",
    "clip",
    "decode_line",
    "did_you_mean",
    "identify",
    "is_loopback",
    "needs_id",
    "parse_line",
    "parse_record",
    "private_base_url",
    "read_body",
    "shown",
]
