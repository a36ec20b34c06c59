"""How fast rows of GA4's export become events: the bytes of BigQuery's pages in, events out.

Baseline: ``json.loads`` of the same pages, less than which no reader of them can do. Run:
``python benchmarks/ga4.py [ROWS]``.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count

from leadup.kit import RowIds
from leadup_connectors.ga4.reading import Batch
from leadup_connectors.ga4.rows import decoder, gc_paused, prune, selected_fields
from leadup_connectors.ga4.sandbox_schema import COLUMNS, cells, field, tree_of
from leadup_connectors.ga4.settings import GA4Settings
from leadup_connectors.ga4.translate import Translator

PAGE = GA4Settings.model_fields["page_size"].default
NAMES = ("page_view", "scroll", "user_engagement", "video_progress", "form_start", "session_start")


def row(number: int, dice: random.Random) -> dict[str, object]:
    """A row with twelve parameters, as a page view of a shop has them."""
    visitor = dice.randrange(20_000)
    texts = {
        "page_location": f"https://shop.test/pricing/{dice.randrange(500)}?utm_source=google&gclid=Cj0K{visitor}",
        "page_title": "Prices and plans of the shop",
        "page_referrer": "https://www.google.com/",
        "source": "google",
        "medium": "cpc",
        "campaign": "spring",
        "session_engaged": "1",
        "content_group": "prices",
    }
    numbers = {"ga_session_id": 1_700_000_000 + visitor, "ga_session_number": 2, "engagement_time_msec": 4_100}
    return {
        "event_timestamp": 1_772_150_000_000_000 + number,
        "event_name": NAMES[number % len(NAMES)],
        "event_params": [
            *({"key": key, "value": {"string_value": value}} for key, value in texts.items()),
            *({"key": key, "value": {"int_value": value}} for key, value in numbers.items()),
            {"key": "video_percent", "value": {"int_value": 75}},
        ],
        "event_bundle_sequence_id": number,
        "user_pseudo_id": f"{visitor}.1700000000",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "Yes"},
        "device": {"category": "mobile", "web_info": {"hostname": "shop.test"}},
        "geo": {"country": "Italy"},
        "stream_id": "99",
        "collected_traffic_source": {"manual_source": "google", "gclid": f"Cj0K{visitor}"},
        "batch_page_id": number,
    }


def best(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of some rounds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main(rows: int) -> None:
    translator = Translator("web", GA4Settings(path="exports"))
    schema = [field(name, shape) for name, shape in COLUMNS.items()]
    fields = prune(schema, translator.columns)
    tree = tree_of(selected_fields(fields, translator.columns), COLUMNS)
    dice, numbers = random.Random(1), count()
    pages = [
        json.dumps({"rows": [{"f": cells(row(next(numbers), dice), COLUMNS, tree)} for _ in range(PAGE)]}).encode()
        for _ in range(max(rows // PAGE, 1))
    ]
    total = len(pages) * PAGE

    def read(*, paused: bool) -> None:
        decode, ids = decoder(fields), RowIds()
        for number, page in enumerate(pages):
            with gc_paused() if paused else nullcontext():
                batch = Batch("events_20260301")
                for line, one in enumerate(json.loads(page)["rows"], number * PAGE + 1):
                    batch.take(line, decode(one), translator, ids)
            assert len(batch.records) == PAGE

    def parse() -> None:
        for page in pages:
            with gc_paused():
                json.loads(page)

    baseline = best(parse)
    size = sum(map(len, pages)) / total

    def show(what: str, took: float) -> None:
        print(f"{what:44} {took:8.2f} s {total / took:12,.0f} rows/s {took / baseline:8.1f} x")

    print(f"{total:,} rows of {size:,.0f} bytes, {PAGE:,} a page")
    show("baseline: json.loads of the pages", baseline)
    show("pages to events", best(lambda: read(paused=True)))
    show("  without a pause of garbage collection", best(lambda: read(paused=False)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
