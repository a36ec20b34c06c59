"""Plays a world through the whole product: a daemon that is killed now and then, emulators of all vendors, and a clock
that jumps from one due instant to the next.

What the vendors hold is looked at after each step, so that every join and leave there has its instant.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import Request, urlopen

from sqlalchemy import func, select

from leadup import registry
from leadup.app import App
from leadup.demo.process import Process
from leadup.demo.visitors import BEGIN, END, FOUND_AFTER, Sale
from leadup.demo.weather import Weather
from leadup.demo.world import Drop, World, put
from leadup.errors import LeadupError, SettingsError
from leadup.sandbox import Server
from leadup.settings import FILE_NAME, load_settings
from leadup.state.tables import outbox

Tell = Callable[[str, float | None], None]

ACTIONS: Final = {"demo": "7001", "interest": "8000000001"}
"""Ids of conversion actions in the emulated Google Ads account, by conversion. The first is there from the beginning;
the second leadup makes, and it gets the first id that the emulator gives."""
VENDORS: Final = ("ga4", "hubspot", "google_ads")
SEARCHES: Final = 1_000_000
"""A second, in HubSpot's emulator: in a play a second is a day."""
PULL_AGAIN: Final = timedelta(minutes=1)
"""A source that could not be read is asked again so soon."""
SECRET: Final = "a secret of no worth"  # noqa: S105 - as it says
SETTINGS: Final = """\
# An installation that `leadup demo` made. The vendors are emulators, which are gone once the demo has ended.
rules = "rules"

[web]
listen = "127.0.0.1:0"

[connections.ga4]
project = "harbour"
dataset = "analytics_4711"
property_zone = "UTC"
base_url = "{ga4}"
pause = 0.01

[connections.site]
type = "collector"
format = "gtm_server"
secret_file = "site.secret"
consent_from_ads_storage = "grants"

[connections.crm]
type = "files"
path = "crm"

[connections.hubspot]
base_url = "{hubspot}"
access_token_file = "hubspot.token"
read = ["contacts", "deals"]
searches_per_second = 1000  # the emulator's account may
pause = 0.01

[connections.google_ads]
base_url = "{google_ads}"
operating_account = "1234567890"
terms_accepted = true
ads_url = "https://{ads}"
ads_roots = "{roots}"

[connections.google_ads.conversion_actions]
demo = "{demo}"
interest = {{create = true, category = "QUALIFIED_LEAD", currency = "EUR"}}
"""


class Place(NamedTuple):
    """One member of one list, as the vendor's own state shows."""

    vendor: str
    list: str
    who: str
    """An address at HubSpot, the hash of one at Google."""


class Moved(NamedTuple):
    """One member of one list came or went."""

    vendor: str
    list: str
    who: str
    joined: bool
    at: datetime


@dataclass(slots=True)
class Played:
    """What came of it."""

    world: World
    app: App
    """The same installation, seen from outside: to read from."""
    ga4: Any
    """GA4's emulator, and those of the vendors."""
    hubspot: Any
    google: Any
    diary: list[Moved] = field(default_factory=list)
    turns: int = 0
    kills: int = 0
    killed_at: set[datetime] = field(default_factory=set)
    again: int = 0
    """Rows that were on their way when the process was killed: these are sent again."""
    faults: int = 0
    """How often a vendor was in trouble."""
    troubles: list[str] = field(default_factory=list)
    """What the daemon complained of; in good weather there is nothing."""

    def present(self) -> set[Place]:
        """Who is in which list now."""
        hubspot, google = self.hubspot.state(), self.google.state()
        addresses = {contact: values["email"] for contact, values in hubspot["contacts"].items()}
        found = {Place("hubspot", one["name"], addresses[who]) for one in hubspot["lists"] for who in one["members"]}
        return found | {Place("google_ads", one["name"], w) for one in google["user_lists"] for w in one["members"]}


def rules_folder() -> Path:
    """Where the rule files are that come with leadup: in a checkout, or in the installed package."""
    here = Path(__file__).resolve().parent
    checkout = here.parents[2] / "rules"
    return checkout if (checkout / "demo.yaml").is_file() else here / "rules"


@contextmanager
def played(world: World, folder: Path, tell: Tell, *, faults: bool = False) -> Iterator[Played]:
    """Play the world in an empty folder; the emulators live until the end of the ``with``."""
    _require_all_packages()
    sandboxes = {name: registry.load(registry.find(name).sandbox)() for name in VENDORS}
    sandboxes["ga4"].seed({"project": "harbour", "dataset": "analytics_4711"})
    sandboxes["google_ads"].seed({"actions": {ACTIONS["demo"]: "UPLOAD_CLICKS"}, "per_minute": 1_000_000})
    with ExitStack() as stack:
        stack.enter_context(_own_environment())
        urls = {name: stack.enter_context(Server(sandbox)).url for name, sandbox in sandboxes.items()}
        doors = sandboxes["google_ads"].doors()
        settings = _install(folder, {**urls, "ads": doors["grpc_tls"], "roots": doors["roots"]})
        app = App(load_settings(settings))
        stack.callback(app.store.close)
        process = stack.enter_context(Process(settings, list(sandboxes.values())))
        result = Played(world, app, sandboxes["ga4"], sandboxes["hubspot"], sandboxes["google_ads"])
        _Stage(result, folder, tell, process, Weather(world.seed, sandboxes, bad=faults)).play()
        yield result


def _require_all_packages() -> None:
    """Google's emulator would only tell when it is asked."""
    try:
        there = find_spec("google.ads.googleads") is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise SettingsError(
            "The demo plays with every connector, and one of their packages is not installed (google-ads).\n"
            "  What to do: pip install 'leadup[all]'"
        )


@contextmanager
def _own_environment() -> Iterator[None]:
    """Hide the user's own connections: the demo must not meet a real account, nor go through a proxy."""
    hidden = {name: value for name, value in os.environ.items() if _is_foreign(name)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _is_foreign(name: str) -> bool:
    return name.startswith("LEADUP_") or name.lower().endswith("_proxy")


def _install(folder: Path, places: Mapping[str, str]) -> Path:
    for name in ("crm", "rules"):
        (folder / name).mkdir(parents=True)
    shutil.copy(rules_folder() / "demo.yaml", folder / "rules" / "demo.yaml")
    for name, secret in (("hubspot.token", "a token of no worth"), ("site.secret", SECRET)):
        (folder / name).write_text(f"{secret}\n", encoding="utf-8")
    path = folder / FILE_NAME
    path.write_text(SETTINGS.format(**places, **ACTIONS), encoding="utf-8")
    return path


class _Stage:
    """The time of the play, and what comes when."""

    def __init__(self, result: Played, folder: Path, tell: Tell, process: Process, weather: Weather) -> None:
        self.result = result
        self._folder, self._tell, self._process, self._weather = folder, tell, process, weather
        self._present: set[Place] = set()
        self._seen = -1
        self._pull_at = BEGIN
        self._contacts: dict[str, str] = {}
        """HubSpot's, by address."""
        self._deals: dict[Sale, str] = {}
        self._now = BEGIN
        result.hubspot.clock = lambda: self._now
        result.hubspot.search_lag = FOUND_AFTER
        result.hubspot.limits.searches = SEARCHES

    def play(self) -> None:
        drops, now = list(self.result.world.drops), BEGIN
        self._process.start(now)
        while now < END:
            drop = drops.pop(0) if drops and drops[0].at <= now else None
            due = self._turn(now, drop)
            self._look(now)
            following = min(due, drops[0].at) if drops else due
            if following <= now:
                following = self._weather.after(now)
            if following <= now:
                raise LeadupError(f"The flow does not come to rest at {now.isoformat()}: it is due again at once.")
            now = following
            self._tell(f"{now:%d %B}", min((now - BEGIN) / (END - BEGIN), 1.0))

    def _turn(self, now: datetime, drop: Drop | None) -> datetime:
        """Let come what comes, and have the daemon's jobs done; kill it on the way if that is in the play."""
        pull = now >= self._pull_at or (drop is not None and bool(drop.tables or drop.files or drop.found))
        self._now = now
        if drop is not None:
            put(drop, self._folder)
            for date, rows in drop.tables:
                self.result.ga4.put_table(date, rows)
            for address in drop.contacts:
                self._contacts[address] = self.result.hubspot.add_contact(address)
            for sale in drop.deals:
                self._sell(sale)
        self._process.set_clock(now)
        for body in drop.posts if drop is not None else ():
            self._post(body)
        self.result.turns += 1
        self.result.faults += self._weather.turn(now)
        answer = self._process.turn(now, pull=pull, kill_after=self._weather.kill_after(now))
        while answer is None:
            self._weather.killed()
            self.result.kills += 1
            self.result.killed_at.add(now)
            self.result.again += self._on_their_way()
            self._process.start(now)
            answer = self._process.turn(now, pull=True)
        self.result.troubles += [f"{now.isoformat()} {trouble}" for trouble in answer["troubles"]]
        self._pull_at = now + PULL_AGAIN if answer["unread"] else END
        due = [datetime.fromisoformat(answer["due"])] if answer["due"] else []
        return min([*due, self._pull_at])

    def _sell(self, sale: Sale) -> None:
        """Open a deal in HubSpot; when it comes again, win it."""
        hubspot, contact = self.result.hubspot, self._contacts[sale.email]
        if sale not in self._deals:
            amount = f"{sale.minor // 100}.{sale.minor % 100:02}"
            self._deals[sale] = hubspot.add_deal(stage="contractsent", amount=amount, contacts=[contact])
            return
        hubspot.move_deal(self._deals[sale], "closedwon")
        hubspot.set_property(contact, lifecyclestage="customer")

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "X-Webhook-Secret": SECRET}
        urlopen(Request(f"{self._process.url}/collect/site", body, headers), timeout=30).close()  # noqa: S310 - it is http

    def _on_their_way(self) -> int:
        with self.result.app.store.read() as connection:
            return connection.scalar(select(func.count()).where(outbox.c.state == "sending")) or 0

    def _look(self, now: datetime) -> None:
        """Note who came and went at the vendors since the last look."""
        if self._seen == (seen := self._process.requests()):
            return
        self._seen, present = seen, self.result.present()
        for place in sorted(present ^ self._present):
            self.result.diary.append(Moved(*place, place in present, now))
        self._present = present
