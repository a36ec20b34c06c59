"""``leadup run``: jobs on a scheduler around the same flow that the command line uses.

Three workers: one takes pages and judges, one delivers, one keeps house. Whatever the daemon is doing when it is
stopped or killed, the state is whole: every step is a transaction, and what was on its way is sent again under the
same key.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from types import FrameType

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import delete, insert, select, update

from leadup.app import App
from leadup.clock import Clock
from leadup.errors import Busy, LeadupError, RuleError, unforeseen
from leadup.passes import as_json
from leadup.state.lease import lease
from leadup.state.tables import meta, requests
from leadup.types import to_us
from leadup.web.server import WebServer

log = structlog.get_logger("leadup.daemon")

STOP_WITHIN = 7.0
"""Seconds that work under way gets to end by itself after SIGTERM; then the process ends all the same."""
ALERT = "alert:rules"


class Daemon:
    """Runs one :class:`App` until it is told to stop."""

    def __init__(self, app: App, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._told = False
        """A plain flag: a signal's handler that takes a lock may wait for the very thread it interrupts."""
        self._ending = False
        self._seen: dict[Path, tuple[int, int]] = {}
        self._lists: Sequence[Path] = ()
        """The files of lists that the rules on disk name."""
        self._looked: dict[Path, tuple[int, int]] = {}
        """As at the last look: a list that changes between two of them may not be written to its end."""
        self._arrived = Event()
        """Set when something has come into the inbox."""
        every = app.settings.daemon
        self._working = {name: Lock() for name in ("core", "delivery", "house")}
        """By worker; each is held by the job that it does."""
        self._scheduler = BackgroundScheduler()
        self._jobs: list[tuple[str, str, Callable[[], None], float]] = [
            ("pull", "core", self._pull, every.pull_every),
            ("collected", "core", self._pull_collected, every.tick_at_most_every),
            ("tick", "core", self._tick_if_news, every.tick_at_most_every),
            ("compact", "core", self._compact, 3600.0),
            ("erase", "core", self._erase, max(1.0, every.tick_at_most_every)),
            ("deliver", "delivery", self._deliver, every.tick_at_most_every),
            ("rules", "house", self._watch_rules, every.watch_rules_every),
            ("requests", "house", self._serve_requests, 0.5),
        ]

    def run(self, standby: bool = False) -> None:
        """Run until SIGTERM or SIGINT; return once all is put away.

        Raises:
            Busy: another daemon holds the state (with ``standby``: waits for it to end instead), or has taken it over.
            RuleError, SettingsError: the rules or settings do not load at the start.
        """
        signal.signal(signal.SIGALRM, _abandon)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)
        waits = False
        while not self._told:
            try:
                with lease(self._app.store, "leadup run") as lost:
                    self._serve(lost)
                return
            except Busy as busy:
                if not standby:
                    raise
                if not waits:
                    log.info("standing by", because=str(busy).partition("\n")[0])
                waits = True
            time.sleep(0.2)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if not self._told:
            signal.setitimer(signal.ITIMER_REAL, STOP_WITHIN)
        self._told = True

    def _serve(self, lost: Event) -> None:
        with ExitStack() as door:
            self.open_door(door)  # before anything that takes long: whoever sends now will not send again
            self._work(lost, door)

    def open_door(self, door: ExitStack) -> str:
        """Serve what is sent to collectors, until ``door`` is closed; return where, "" if there is no collector."""
        app = self._app
        if not app.pushes:
            return ""
        server = WebServer(app.settings.web, app.pushes, app.inbox, self._clock, self._arrived.set)
        return door.enter_context(server).url

    def turn(self, *, pull: bool) -> None:
        """Do once, here and now, what the scheduler does again and again: for a clock that jumps.

        ``pull``: whether it is time to ask the sources.
        """
        if pull:
            self._pull()
        else:
            self._pull_collected()
            self._tick()
        self._deliver()

    def _work(self, lost: Event, door: ExitStack) -> None:
        self._app.go_live(self._app.rules, self._clock.now())
        self._alert(None)
        self._lists = self._app.rules.watched
        self._seen = self._looked = self._stamps()
        self._turn_down_old_requests()
        self._ending = False
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={name: ThreadPoolExecutor(1) for name in self._working},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, executor, job, seconds in self._jobs:
            self._scheduler.add_job(
                self._guarded(name, executor, job),
                "interval",
                seconds=seconds,
                id=name,
                executor=executor,
                **({} if name == "compact" else {"next_run_time": datetime.now(UTC)}),  # None would be: never
            )
        self._scheduler.start()
        self._arm()
        log.info("running", rules=len(self._app.rules.program.segments), sources=sorted(self._app.sources))
        while not (self._told or lost.is_set()):
            time.sleep(0.1)
        self._put_away(door)
        if lost.is_set():
            raise Busy("The lease was lost: another process has taken this state over.")
        log.info("stopped")

    def _put_away(self, door: ExitStack) -> None:
        """Let the work under way come to its end, and begin no more."""
        log.info("stopping")
        self._ending = True
        self._scheduler.shutdown(wait=False)
        door.close()
        for lock in self._working.values():
            with lock:
                pass

    # ------------------------------------------------------------ jobs

    def _guarded(self, name: str, executor: str, job: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with self._working[executor]:
                if self._ending:
                    return
                try:
                    job()
                except LeadupError as error:
                    log.error("job failed", job=name, error=str(error))
                except Exception as error:  # noqa: BLE001 - one job's mistake is not the end of the others
                    log.error("job failed", job=name, error=unforeseen(error))

        return run

    def _pull_collected(self) -> None:
        """Read what was sent to us, when there is something; what we have to ask for has its own time."""
        if self._arrived.is_set():
            self._arrived.clear()
            self._pull(self._app.pushes)

    def _pull(self, only: Collection[str] | None = None) -> None:
        pulled = self._app.pull(self._clock.now(), only=only)
        for name, error in pulled.errors.items():
            log.warning("source failed", connection=name, error=error)
        for name, wait in pulled.waits.items():
            if wait.news:
                log.warning("reading waits for the vendor's next day", connection=name, why=wait.because)
        for name, one in pulled.taken.items():
            if one.new or one.revised or one.facts or one.rejected:
                log.info("pulled", connection=name, new=one.new, revised=one.revised, rejected=one.rejected)
        self._tick()

    def _tick_if_news(self) -> None:
        if self._app.pipeline.has_news():
            self._tick()

    def _tick(self) -> None:
        ticked = self._app.tick(self._clock.now())
        if ticked.entered or ticked.left:
            log.info("ticked", judged=ticked.judged, entered=ticked.entered, left=ticked.left)
        for planned in ticked.plans:
            if planned.trip:
                log.warning("guard holds", target=planned.target.target.key, guard=planned.trip.text)
        self._arm()
        self._app.pipeline.extend_files()

    def _arm(self) -> None:
        """Set one timer to the next instant at which a verdict can change."""
        due = self._app.pipeline.next_due()
        if due is None or self._ending or not self._scheduler.running:
            return
        wait = due - self._clock.now() + timedelta(milliseconds=1)
        if wait <= timedelta(0):  # who is due and could not be judged (a row of his is on its way) is no reason to spin
            wait = timedelta(seconds=self._app.settings.daemon.tick_at_most_every)
        with suppress(ConflictingIdError):
            self._scheduler.add_job(
                self._guarded("due", "core", self._tick),
                "date",
                run_date=datetime.now(UTC) + wait,  # a frozen clock freezes what is judged, not the scheduler
                id="due",
                executor="core",
                replace_existing=True,
            )

    def _deliver(self) -> None:
        now = self._clock.now()
        if self._app.pipeline.has_work(now):
            for one in self._app.deliver(now):
                if one.sent:
                    log.info("delivered", target=one.target.key, sent=one.sent, **dict(one.outcomes))
                if one.notice:
                    log.warning("waits for the vendor's next day", connection=one.target.connection, why=one.notice)
                if one.error and not one.told:
                    log.warning("delivery stopped", target=one.target.key, error=one.error)
        self._app.poll(now)

    def _compact(self) -> None:
        now = self._clock.now()
        with self._app.judging:
            self._app.pipeline.log.compact(to_us(now))
            self._app.pipeline.log.sweep(to_us(now))

    def _erase(self) -> None:
        """Go on with what was asked for, here or by a command beside us; its leaves go out like all others."""
        if asked := self._app.erasing():
            self._app.erase_on(self._clock.now())
            for request in set(asked) - set(self._app.erasing()):
                log.info("erased", request=request)

    # ------------------------------------------------------------ rules

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        found: dict[Path, tuple[int, int]] = {}
        for path in self._app.settings.rules:
            files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
            found |= _stamps(files)
        return found | _stamps(self._lists)

    def _watch_rules(self) -> None:
        stamps, before = self._stamps(), self._looked
        self._looked = stamps
        if stamps == self._seen or any(stamps.get(one) != before.get(one) for one in self._lists):
            return
        try:
            rules = self._app.load_rules()
            changed = self._app.go_live(rules, self._clock.now())
        except LeadupError as error:
            log.error("rules not changed: the last good ones stay", error=str(error))
            self._alert(str(error))
            self._lists = [
                *self._app.rules.watched,
                *(map(Path, error.watched) if isinstance(error, RuleError) else ()),
            ]
            self._seen = stamps
            return
        self._app.rules, self._lists, self._seen = rules, rules.watched, stamps
        self._alert(None)
        if changed:
            log.info("rules changed", segments=len(rules.program.segments), fingerprint=rules.program.fingerprint[:12])

    def _alert(self, text: str | None) -> None:
        with self._app.store.write() as connection:
            connection.execute(delete(meta).where(meta.c.key == ALERT))
            if text:
                connection.execute(insert(meta), [{"key": ALERT, "value": text}])

    # ------------------------------------------------------------ requests

    def _turn_down_old_requests(self) -> None:
        """Whoever asked a daemon that has ended since was told so, or is told now."""
        error = "The daemon ended before this was done.\n  What to do: run `leadup sync` again."
        values = {"state": "failed", "answer": {"error": error, "exit_code": LeadupError.exit_code}}
        with self._app.store.write() as connection:
            waiting = requests.c.state.in_(["asked", "running"])
            connection.execute(update(requests).where(waiting).values(**values, done_us=to_us(self._clock.now())))

    def _serve_requests(self) -> None:
        with self._app.store.read() as connection:
            asked = connection.execute(select(requests).where(requests.c.state == "asked")).mappings().all()
        for request in asked:
            self._answer(request["id"], "running", None)
            how = request["arguments"]
            try:
                done = self._app.sync(self._clock.now(), how["only"], accepted=how["accept"], who=how["who"])
            except LeadupError as error:
                self._answer(request["id"], "failed", {"error": str(error), "exit_code": error.exit_code})
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                log.error("request failed", error=unforeseen(error))
                self._answer(request["id"], "failed", {"error": unforeseen(error), "exit_code": LeadupError.exit_code})
            else:
                for place, text in done.errors.items():
                    log.warning("trouble in a requested sync", place=place, error=text)
                self._answer(request["id"], "done", as_json(done))
        if asked:
            self._arm()

    def _answer(self, request: int, state: str, answer: object) -> None:
        done = None if state == "running" else to_us(self._clock.now())
        with self._app.store.write() as connection:
            connection.execute(
                update(requests).where(requests.c.id == request).values(state=state, answer=answer, done_us=done)
            )


def _stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """When each of these files was changed last, and how long it is."""
    found = {}
    for file in files:
        with suppress(OSError):
            stat = file.stat()
            found[file] = (stat.st_mtime_ns, stat.st_size)
    return found


def _abandon(_: int, __: FrameType | None) -> None:
    """End at once. A thread that hangs in a vendor's call would keep the interpreter; the state needs no goodbye."""
    log.warning("stopped with work on its way; it will be sent again")
    os._exit(0)


def ask(app: App, arguments: dict[str, object], now: datetime) -> int:
    """Ask the living daemon for a sync; return the request's number."""
    with app.store.write() as connection:
        result = connection.execute(insert(requests).values(arguments=arguments, state="asked", asked_us=to_us(now)))
        return int(result.inserted_primary_key[0])  # type: ignore[index]


def answer_of(app: App, request: int) -> tuple[str, object]:
    """State of a request (``asked``, ``running``, ``done``, ``failed``) and its answer."""
    with app.store.read() as connection:
        row = connection.execute(select(requests).where(requests.c.id == request)).one()
        return row.state, row.answer
