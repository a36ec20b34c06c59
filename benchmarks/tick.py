"""How much less a tick costs than judging everybody, through the product's own door and a real SQLite state.

    python benchmarks/tick.py --persons 40000 200000 --rules 20

At each size, events of so many visitors are taken in page by page, and all are judged. Then the signals are put into
columns, as the daemon does it after a tick. Measured are: judging everybody again, the baseline (nobody moves any
more); a tick after news of 5,000 persons; and one without news. Times are CPU seconds of all threads; each includes
plans and commits, and none of them taking events in. A tick costs what changed, so its share falls as the state grows;
it can not fall below the share of the persons who have news.
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
from leadup.outgoing import Target, Use
from leadup.pipeline import Pipeline
from leadup.rules.program import Program
from leadup.state import open_store
from leadup.state.store import upsert
from leadup.state.tables import dirty as dirty_persons
from leadup.types import Event, Identifier, Kind, Page, from_us

AT = from_us(NOW)
PAGE = 20_000
BAR = "   bar: at most 0.050"


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


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, float]:
    """Return the CPU seconds of judging everyone, of a tick with news and of one without; the fastest of each."""
    full, tick, quiet = [], [], []
    for _ in range(options.times):
        everyone = bench.concern_everyone()
        full.append(cpu(partial(judge_news, bench.pipeline, everyone)))
        bench.news(options.dirty)
        tick.append(cpu(partial(judge_news, bench.pipeline, options.dirty)))
        quiet.append(cpu(partial(judge_news, bench.pipeline, 0)))
    return {"full": min(full), "tick": min(tick), "quiet": min(quiet)}


class Bench:
    """A state that grows, and what happens to it."""

    def __init__(self, pipeline: Pipeline, dice: random.Random) -> None:
        self.pipeline, self._dice = pipeline, dice
        self.visitors: list[int] = []
        self.signals = 0
        self._rounds = 0

    def grow(self, persons: int, events: int) -> tuple[float, float, float]:
        """Let there be so many more visitors; return the CPU seconds of taking in, of judging and of making files."""
        come = list(range(len(self.visitors), len(self.visitors) + persons))
        self._dice.shuffle(come)
        self.visitors += come
        self.signals += persons * events
        told = make_events(self._dice, come, AT - timedelta(days=DAYS), persons * events, f"e{come[0]}.")
        taking = cpu(lambda: take(self.pipeline, told))
        judging = cpu(lambda: self.pipeline.tick(AT))
        return taking, judging, cpu(self.pipeline.extend_files)

    def concern_everyone(self) -> int:
        """As an edit of the rules does that concerns everybody; return how many they are."""
        with self.pipeline.store.write() as connection:
            upsert(connection, dirty_persons, [{"person": one} for one in people.everyone(connection)], update=())
            return connection.scalar(select(func.count()).select_from(dirty_persons)) or 0

    def news(self, count: int) -> None:
        """Let so many visitors do something."""
        self._rounds += 1
        dirty = self._dice.sample(self.visitors, min(count, len(self.visitors)))
        begin = AT - timedelta(hours=1)
        once = [next(make_events(self._dice, [who], begin, 1, f"n{self._rounds}.{who}.")) for who in dirty]
        take(self.pipeline, iter(once))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, nargs="+", default=[40_000, 200_000], help="sizes to measure at")
    parser.add_argument("--events", type=int, default=5, help="of each person, on average")
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--dirty", type=int, default=5_000, help="persons with news")
    parser.add_argument("--times", type=int, default=3, help="ticks of each kind, of which the fastest counts")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    program = make_program(options.rules)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/state.db", Path(folder))
        pipeline = Pipeline(store, Vault(Fernet.generate_key().decode()), program)
        pipeline.use(program, make_targets(program, 5), AT)
        bench = Bench(pipeline, random.Random(options.seed))
        sizes: list[dict[str, float]] = []
        for persons in sorted(options.persons):
            taking, first, files = bench.grow(persons - len(bench.visitors), options.events)
            sizes.append(found := measure(bench, options))
            full = found["full"]
            print(f"{bench.signals:,} events of {persons:,} persons, {options.rules} rules")
            print(f"{'taking in what is new':<42}{taking:8.2f} s")
            print(f"{'judge who is new':<42}{first:8.2f} s {first / full:8.3f} x")
            print(f"{'put new signals into columns':<42}{files:8.2f} s {files / full:8.3f} x")
            print(f"{'judge everyone again (the baseline)':<42}{full:8.2f} s {1:8.3f} x")
            title, bar = f"tick with {options.dirty:,} dirty persons", "" if persons < max(options.persons) else BAR
            print(f"{title:<42}{found['tick']:8.2f} s {found['tick'] / full:8.3f} x{bar}")
            print(f"{'tick with no news':<42}{found['quiet']:8.2f} s {found['quiet'] / full:8.3f} x\n")
        store.close()
    grown = {name: sizes[-1][name] / sizes[0][name] for name in ("full", "tick")}
    print(f"from the smallest to the largest: everyone {grown['full']:.1f} x, a tick {grown['tick']:.1f} x")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
