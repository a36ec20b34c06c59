"""How much less a tick costs than judging everybody, through the product's own door and a real SQLite state.

    python benchmarks/tick.py --persons 100000 --rules 20

Events of so many visitors are taken in page by page. Then everybody is judged: once when the rules go live, and once
more, which is the baseline (nobody moves any more). Against it: a tick after news of 5,000 persons, and one without
news. Times are CPU seconds of all threads; each includes plans and commits, and none of them taking events in.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography.fernet import Fernet
from operators import DAYS, NOW, PATTERNS, make_program
from sqlalchemy import func, select

from leadup.delivery.book import Terms
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.program import Program
from leadup.state import open_store
from leadup.state.store import upsert
from leadup.state.tables import dirty as dirty_persons
from leadup.types import Event, Identifier, Kind, Page, Target, Use, from_us

AT = from_us(NOW)
PAGE = 20_000


def make_events(dice: random.Random, visitors: list[int], begin: datetime, count: int, prefix: str) -> Iterator[Event]:
    """Make events of these visitors from ``begin`` to now; some visitors are known by address as well."""
    paths = ["/", "/blog", "/docs", "/pricing", "/pricing/eu"]
    for n in range(count):
        visitor = visitors[int(len(visitors) * dice.random() ** 1.5)]
        known = (Identifier(Kind.EMAIL, f"v{visitor}@example.com"),) if visitor % 4 == 0 else ()
        yield Event(
            source="web",
            id=f"{prefix}{n}",
            name=PATTERNS[int(len(PATTERNS) * dice.random() ** 1.7)],
            at=begin + dice.random() * (AT - begin),
            identifiers=(Identifier(Kind.CLIENT_ID, f"{visitor}.1771977600"), *known),
            properties={"path": dice.choice(paths)},
        )


def take(pipeline: Pipeline, events: Iterator[Event]) -> int:
    """Take events in, in big pages; return how many."""
    taken = 0
    while page := [event for event, _ in zip(events, range(PAGE), strict=False)]:
        taken += len(page)
        pipeline.take("web", Page(records=page, cursor={"read": taken}, complete_until=AT), AT)
    return taken


def make_targets(program: Program, every: int) -> dict[Target, Terms]:
    """Send every so-manieth segment to an audience."""
    terms = Terms(needs=frozenset({Kind.EMAIL}))
    return {
        Target(connection="ads", use=Use.AUDIENCE, name=name, remote_name=f"leadup: {name}"): terms
        for name in list(program.segments)[::every]
    }


def judge_news(pipeline: Pipeline, expected: int) -> None:
    """Tick, and make sure that it judged just those who had news."""
    if (judged := pipeline.tick(AT).judged) != expected:
        raise SystemExit(f"The tick judged {judged:,} persons, not {expected:,}: it measured something else.")


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that work took, of all threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=5, help="of each person, on average")
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--dirty", type=int, default=5_000, help="persons with news")
    parser.add_argument("--times", type=int, default=2, help="ticks of each kind, of which the fastest counts")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    dice = random.Random(options.seed)
    program = make_program(options.rules)
    targets = make_targets(program, 5)
    visitors = list(range(options.persons))
    dice.shuffle(visitors)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/state.db", Path(folder))
        pipeline = Pipeline(store, Vault(Fernet.generate_key().decode()), program)
        pipeline.use(program, targets, AT)
        events = make_events(dice, visitors, AT - timedelta(days=DAYS), options.persons * options.events, "e")
        built = cpu(lambda: take(pipeline, events))

        def concern_everyone() -> int:
            """As an edit of the rules does that concerns everybody; return how many they are."""
            with store.write() as connection:
                upsert(connection, dirty_persons, [{"person": one} for one in people.everyone(connection)], update=())
                return connection.scalar(select(func.count()).select_from(dirty_persons)) or 0

        def news(round_: int) -> None:
            dirty = dice.sample(visitors, min(options.dirty, len(visitors)))
            once = [next(make_events(dice, [who], AT - timedelta(hours=1), 1, f"n{round_}.{who}.")) for who in dirty]
            take(pipeline, iter(once))

        first = cpu(lambda: pipeline.tick(AT))
        full, tick, quiet = [], [], []
        for round_ in range(options.times):
            everyone = concern_everyone()
            full.append(cpu(partial(judge_news, pipeline, everyone)))
            news(round_)
            tick.append(cpu(lambda: judge_news(pipeline, options.dirty)))
            quiet.append(cpu(lambda: judge_news(pipeline, 0)))
        store.close()

    print(f"{options.persons * options.events:,} events of {options.persons:,} persons, {options.rules} rules")
    print(f"{'taking them in':<42}{built:8.2f} s")
    print(f"{'judge everyone when rules go live':<42}{first:8.2f} s {first / min(full):8.3f} x")
    print(f"{'judge everyone again (the baseline)':<42}{min(full):8.2f} s {1:8.3f} x")
    print(
        f"{f'tick with {options.dirty:,} dirty persons':<42}{min(tick):8.2f} s {min(tick) / min(full):8.3f} x"
        "   bar: at most 0.100"
    )
    print(f"{'tick with no news':<42}{min(quiet):8.2f} s {min(quiet) / min(full):8.3f} x")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
