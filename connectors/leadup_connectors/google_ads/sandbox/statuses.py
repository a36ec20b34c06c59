"""What ``requestStatus:retrieve`` says of a request: counts by reason, never rows ("Diagnostics")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from google.ads import datamanager_v1 as v1

from leadup_connectors.google_ads.sandbox.rows import Accepted, identifiers

STATES: Final = v1.RequestStatusPerDestination.RequestStatus
FIELD_WARNING: Final = "WARNING_REASON_"
"""How a ``reject`` fault's code begins that makes rows warned of at once."""
PROCESSING_WARNING: Final = "PROCESSING_WARNING_REASON_"
"""How a ``reject`` fault's code begins that makes rows warned of by count later."""
_RANGES: Final = ((20, "LESS_THAN_20"), *((top, f"{top - 9}_TO_{top}") for top in range(40, 101, 10)))


def processing_reason(code: str) -> int | None:
    """The number of a ``ProcessingErrorReason`` by the end of its name; None: there is no such reason."""
    reasons = v1.ProcessingErrorReason.__members__
    found = reasons.get(f"PROCESSING_ERROR_REASON_{code}") or reasons.get(f"PROCESSING_ERROR_{code}")
    return found.value if found else None


def match_rate_range(percent: int) -> int:
    """The ``MatchRateRange`` a rate falls into."""
    name = "20_TO_30" if 20 <= percent <= 30 else next(name for top, name in _RANGES if percent < 20 or percent <= top)
    return int(v1.MatchRateRange[f"MATCH_RATE_RANGE_{name}"].value)


def describe(
    status: Any, accepted: Accepted, rows: Sequence[Any], failed: Counter[str] | None, match_rate: int
) -> None:
    """Fill one destination's part of the answer; ``failed`` is None while the request is PROCESSING."""
    if failed is None:
        status.request_status = STATES.PROCESSING.value
    else:
        _describe_end(status, accepted, len(rows), failed)
    if accepted.verb == "convert":
        status.events_ingestion_status.record_count = len(rows)
    elif accepted.verb == "remove_all":
        status.remove_all_audience_members_status.SetInParent()
    else:
        _describe_members(status, accepted, rows, None if failed is None else match_rate)


def _describe_end(status: Any, accepted: Accepted, rows: int, failed: Counter[str]) -> None:
    total = failed.total()
    state = STATES.SUCCESS if not total else STATES.FAILED if total == rows else STATES.PARTIAL_SUCCESS
    status.request_status = state.value
    for reason, count in sorted(failed.items()):
        status.error_info.error_counts.add(reason=processing_reason(reason), record_count=count)
    fault = accepted.reject
    if fault is not None and fault.code.startswith(PROCESSING_WARNING):
        warning = v1.ProcessingWarningReason[fault.code].value
        status.warning_info.warning_counts.add(reason=warning, record_count=rows // max(fault.every, 1))


def _describe_members(status: Any, accepted: Accepted, rows: Sequence[Any], match_rate: int | None) -> None:
    by_id = bool(rows) and rows[0].WhichOneof("data") == "user_id_data"
    removal, ingestion = status.audience_members_removal_status, status.audience_members_ingestion_status
    count = sum(len(identifiers(row, accepted.message.encoding)) for row in rows)
    if accepted.verb == "leave":
        part = removal.user_id_data_removal_status if by_id else removal.user_data_removal_status
    else:
        part = ingestion.user_id_data_ingestion_status if by_id else ingestion.user_data_ingestion_status
        if not by_id and match_rate is not None:
            part.upload_match_rate_range = match_rate_range(match_rate)
    part.record_count = len(rows)
    setattr(part, "user_id_count" if by_id else "user_identifier_count", count)
