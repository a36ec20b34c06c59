"""The schema of the emulated export, and how BigQuery writes a row of it: ``{"f": [{"v": ...}, ...]}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from leadup.types import Json

Shape: TypeAlias = "str | dict[str, Shape] | list[dict[str, Shape]]"
"""A type's name, a record, or (in a list) a repeated record."""
Row: TypeAlias = Mapping[str, Any]
Tree: TypeAlias = dict[str, "Tree"]
"""Selected columns; none inside: all of it."""

_VALUE: Final[Shape] = {
    "string_value": "STRING",
    "int_value": "INTEGER",
    "float_value": "FLOAT",
    "double_value": "FLOAT",
}
_STAMPED: Final[Shape] = {**_VALUE, "set_timestamp_micros": "INTEGER"}  # type: ignore[dict-item]
COLUMNS: Final[dict[str, Shape]] = {
    "event_date": "STRING",
    "event_timestamp": "INTEGER",
    "event_name": "STRING",
    "event_params": [{"key": "STRING", "value": _VALUE}],
    "event_previous_timestamp": "INTEGER",
    "event_value_in_usd": "FLOAT",
    "event_bundle_sequence_id": "INTEGER",
    "event_server_timestamp_offset": "INTEGER",
    "user_id": "STRING",
    "user_pseudo_id": "STRING",
    "privacy_info": {"analytics_storage": "STRING", "ads_storage": "STRING", "uses_transient_token": "STRING"},
    "user_properties": [{"key": "STRING", "value": _STAMPED}],
    "user_first_touch_timestamp": "INTEGER",
    "device": {
        "category": "STRING",
        "operating_system": "STRING",
        "language": "STRING",
        "web_info": {"browser": "STRING", "browser_version": "STRING", "hostname": "STRING"},
    },
    "geo": {"continent": "STRING", "country": "STRING", "region": "STRING", "city": "STRING"},
    "traffic_source": {"name": "STRING", "medium": "STRING", "source": "STRING"},
    "stream_id": "STRING",
    "platform": "STRING",
    "ecommerce": {"transaction_id": "STRING", "purchase_revenue": "FLOAT", "total_item_quantity": "INTEGER"},
    "items": [
        {
            "item_id": "STRING",
            "item_name": "STRING",
            "item_category": "STRING",
            "price": "FLOAT",
            "quantity": "INTEGER",
        }
    ],
    "collected_traffic_source": {
        "manual_campaign_id": "STRING",
        "manual_campaign_name": "STRING",
        "manual_source": "STRING",
        "manual_medium": "STRING",
        "manual_term": "STRING",
        "manual_content": "STRING",
        "gclid": "STRING",
        "dclid": "STRING",
        "srsltid": "STRING",
    },
    "is_active_user": "BOOLEAN",
    "batch_event_index": "INTEGER",
    "batch_page_id": "INTEGER",
    "batch_ordering_id": "INTEGER",
}
"""The export's columns, but for some that only apps and shops fill."""


def check(row: Any, columns: Mapping[str, Shape], where: str = "") -> None:
    """Look whether a row has only these columns.

    Raises:
        ValueError: it has another one.
    """
    for key, value in row.items():
        shape = columns.get(key)
        if shape is None:
            raise ValueError(f"{where}{key} is no column of the export")
        if isinstance(shape, dict) and value is not None:
            check(value, shape, f"{where}{key}.")
        elif isinstance(shape, list):
            for item in value or ():
                check(item, shape[0], f"{where}{key}.")


def field(name: str, shape: Shape) -> dict[str, Json]:
    """Return a ``TableFieldSchema``."""
    if isinstance(shape, str):
        return {"name": name, "type": shape, "mode": "NULLABLE"}
    inside = shape[0] if isinstance(shape, list) else shape
    mode = "REPEATED" if isinstance(shape, list) else "NULLABLE"
    return {"name": name, "type": "RECORD", "mode": mode, "fields": [field(n, s) for n, s in inside.items()]}


def tree_of(selected: str, columns: Mapping[str, Shape]) -> Tree:
    """Return what ``selectedFields`` (``a,e.d.f``) selects.

    Raises:
        ValueError: a column that is not there.
    """
    tree: Tree = {}
    for path in filter(None, selected.split(",")):
        place: Tree = tree
        shape: Any = columns
        for step in path.split("."):
            if not isinstance(shape, Mapping) or step not in shape:
                raise ValueError(f"Invalid field mask: no such field: {path}")
            inner = shape[step]
            place, shape = place.setdefault(step, {}), inner[0] if isinstance(inner, list) else inner
    return tree


def cells(row: Row, columns: Mapping[str, Shape], tree: Tree) -> list[Json]:
    """The values of a row in the schema's order."""
    return [
        {"v": _value(row.get(name), shape, tree.get(name, {}))}
        for name, shape in columns.items()
        if not tree or name in tree
    ]


def _value(value: Any, shape: Shape, tree: Tree) -> Json:
    if isinstance(shape, list):
        return [{"v": {"f": cells(item, shape[0], tree)}} for item in value or ()]
    if value is None:
        return None
    if isinstance(shape, dict):
        return {"f": cells(value, shape, tree)}
    return str(value).lower() if isinstance(value, bool) else str(value)
