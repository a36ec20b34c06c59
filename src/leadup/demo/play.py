"""Plays a world through the whole product: a folder, two emulators, a clock that jumps from one due instant on.

What the vendors hold is looked at after each step, so that every join and leave there has its instant.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from leadup import registry
from leadup.app import App
from leadup.clock import FrozenClock
from leadup.demo.visitors import BEGIN, END
from leadup.demo.world import World, put
from leadup.errors import LeadupError
from leadup.pipeline import Taken
from leadup.sandbox import Server
from leadup.settings import FILE_NAME, load_settings

Tell = Callable[[str, float | None], None]

ACTIONS: Final = {"demo": "7001", "won": "7002"}
"""Conversion actions of the emulated Google Ads account, by conversion."""
SETTINGS: Final = """\
# An installation that `leadup demo` made. The two vendors are emulators, which are gone once the demo has ended.
rules = "rules"

[connections.site]
type = "files"
path = "site"

[connections.crm]
type = "files"
path = "crm"

[connections.hubspot]
base_url = "{hubspot}"
access_token_file = "hubspot.token"

[connections.google_ads]
base_url = "{google_ads}"
operating_account = "1234567890"
terms_accepted = true
conversion_actions = {{demo = "{demo}", won = "{won}"}}
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
    hubspot: Any
    """HubSpot's emulator."""
    google: Any
    """Google's emulator."""
    diary: list[Moved] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)
    """What came in, by connection."""
    ticks: int = 0
    errors: list[str] = field(default_factory=list)
    """What went wrong on the way; nothing should."""

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
def played(world: World, folder: Path, tell: Tell) -> Iterator[Played]:
    """Play the world in an empty folder; the emulators live until the end of the ``with``."""
    names = ("hubspot", "google_ads")
    hubspot, google = (registry.load(registry.find(name).sandbox)() for name in names)
    google.seed({"actions": dict.fromkeys(ACTIONS.values(), "UPLOAD_CLICKS"), "per_minute": 1_000_000})
    with Server(hubspot) as one, Server(google) as other, _own_environment():
        app = App(load_settings(_install(folder, {"hubspot": one.url, "google_ads": other.url})))
        try:
            stage = _Stage(Played(world, app, hubspot, google), folder, tell)
            stage.play()
            yield stage.result
        finally:
            app.store.close()


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


def _install(folder: Path, urls: Mapping[str, str]) -> Path:
    for name in ("site", "crm", "rules"):
        (folder / name).mkdir(parents=True)
    shutil.copy(rules_folder() / "demo.yaml", folder / "rules" / "demo.yaml")
    (folder / "hubspot.token").write_text("a token of no worth\n", encoding="utf-8")
    path = folder / FILE_NAME
    path.write_text(SETTINGS.format(**urls, **ACTIONS), encoding="utf-8")
    return path


class _Stage:
    """The flow as the daemon drives it, without its waiting."""

    def __init__(self, result: Played, folder: Path, tell: Tell) -> None:
        self.result = result
        self._folder, self._tell = folder, tell
        self._clock = FrozenClock(BEGIN)
        self._present: set[Place] = set()

    def play(self) -> None:
        app, drops = self.result.app, list(self.result.world.drops)
        app.go_live(app.rules, BEGIN)
        while True:
            now = self._clock.now()
            fresh = bool(drops) and drops[0].at <= now
            if fresh:
                drop = drops.pop(0)
                put(drop, self._folder)
                self._meet(drop.contacts)
            due = app.pipeline.next_due()
            if fresh or (due is not None and due <= now):
                self._judge(now)
            self._deliver(now)
            later = [drops[0].at] if drops else []
            later += [at for at in (app.pipeline.next_due(), app.pipeline.next_try()) if at is not None]
            following = min(later, default=END)
            if following <= now:
                raise LeadupError(f"The flow does not come to rest at {now.isoformat()}: it is due again at once.")
            if following > END:
                break
            self._clock.set(following)
            self._tell(f"{following:%d %B}", (following - BEGIN) / (END - BEGIN))

    def _meet(self, contacts: tuple[str, ...]) -> None:
        for address in contacts:
            self.result.hubspot.add_contact(address)

    def _judge(self, now: datetime) -> None:
        taken, errors = self.result.app.pull(now)
        for name, one in taken.items():
            self.result.taken[name] = self.result.taken.get(name, Taken())
            self.result.taken[name] += one
        self.result.errors += [f"{now.isoformat()} {name}: {error}" for name, error in errors.items()]
        self.result.app.tick(now)
        self.result.ticks += 1

    def _deliver(self, now: datetime) -> None:
        app = self.result.app
        if app.pipeline.has_work(now):
            for one in app.deliver(now):
                if one.error:
                    self.result.errors.append(f"{now.isoformat()} {one.target.key}: {one.error}")
        app.poll(now)
        self._look(now)

    def _look(self, now: datetime) -> None:
        """Note who came and went at the vendors since the last look."""
        present = self.result.present()
        for place in sorted(present ^ self._present):
            self.result.diary.append(Moved(*place, place in present, now))
        self._present = present
