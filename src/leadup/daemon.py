"""``leadup run``: jobs on a scheduler around the same flow that the command line uses.

Three workers: one takes pages and judges, one delivers, one keeps house. Whatever the daemon is doing when it is
stopped or killed, the state is whole: every step is a transaction, and what was on its way is sent again under the
same key.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import delete, insert, select, update

from leadup.app import App, as_json
from leadup.clock import Clock
from leadup.errors import Busy, LeadupError
from leadup.state.lease import lease
from leadup.state.tables import meta, requests
from leadup.types import to_us

log = structlog.get_logger("leadup.daemon")

STOP_WITHIN = 8.0
"""Seconds that work under way gets to end by itself after SIGTERM; then the process ends all the same."""
ALERT = "alert:rules"


class Daemon:
    """Runs one :class:`App` until it is told to stop."""

    def __init__(self, app: App, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._stop = Event()
        self._seen: dict[Path, tuple[int, int]] = {}
        every = app.settings.daemon
        self._scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={name: ThreadPoolExecutor(1) for name in ("core", "delivery", "house")},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._jobs: list[tuple[str, str, Callable[[], None], float]] = [
            ("pull", "core", self._pull, every.pull_every),
            ("tick", "core", self._tick_if_news, every.tick_at_most_every),
            ("compact", "core", self._compact, 3600.0),
            ("deliver", "delivery", self._deliver, every.tick_at_most_every),
            ("rules", "house", self._watch_rules, every.watch_rules_every),
            ("requests", "house", self._serve_requests, 0.5),
        ]

    def run(self, standby: bool = False) -> None:
        """Run until SIGTERM or SIGINT; return once all is put away.

        Raises:
            Busy: another daemon holds the state (with ``standby``: waits for it to end instead).
            RuleError, SettingsError: the rules or settings do not load at the start.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self._stop.set())
        while not self._stop.is_set():
            try:
                with lease(self._app.store, "leadup run") as lost:
                    self._serve(lost)
                return
            except Busy:
                if not standby:
                    raise
                self._stop.wait(1.0)

    def _serve(self, lost: Event) -> None:
        self._app.go_live(self._app.rules, self._clock.now())
        self._seen = self._stamps()
        for name, executor, job, seconds in self._jobs:
            self._scheduler.add_job(
                self._guarded(name, job),
                "interval",
                seconds=seconds,
                id=name,
                executor=executor,
                next_run_time=self._clock.now() if name != "compact" else None,
            )
        self._scheduler.start()
        self._arm()
        log.info("running", rules=len(self._app.rules.program.segments), sources=sorted(self._app.sources))
        while not self._stop.wait(0.2):
            if lost.is_set():
                log.error("the lease was lost; another process may hold the state; stopping")
                break
        self._put_away()

    def _put_away(self) -> None:
        log.info("stopping")
        self._scheduler.shutdown(wait=False)
        deadline = time.monotonic() + STOP_WITHIN
        locks = (self._app.judging, self._app.sending)
        ended = all(lock.acquire(timeout=max(deadline - time.monotonic(), 0.01)) for lock in locks)
        log.info("stopped" if ended else "stopped with work on its way; it will be sent again")
        if not ended:
            # A thread that hangs in a vendor's call would keep the interpreter; the state does not need it to end.
            self._exit_at_once()

    def _exit_at_once(self) -> None:
        from leadup.state.tables import leases

        with suppress(LeadupError), self._app.store.write() as connection:
            connection.execute(delete(leases))
        os._exit(0)

    # ------------------------------------------------------------ jobs

    def _guarded(self, name: str, job: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            if self._stop.is_set():
                return
            try:
                job()
            except LeadupError as error:
                log.error("job failed", job=name, error=str(error))
            except Exception:
                log.exception("job failed", job=name)

        return run

    def _pull(self) -> None:
        taken, errors = self._app.pull(self._clock.now())
        for name, error in errors.items():
            log.warning("source failed", connection=name, error=error)
        for name, one in taken.items():
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

    def _arm(self) -> None:
        """Set one timer to the next instant at which a verdict can change."""
        due = self._app.pipeline.next_due()
        if due is None or self._stop.is_set():
            return
        when = max(due, self._clock.now()) + timedelta(milliseconds=1)
        with suppress(ConflictingIdError):
            self._scheduler.add_job(
                self._guarded("due", self._tick),
                "date",
                run_date=when,
                id="due",
                executor="core",
                replace_existing=True,
            )

    def _deliver(self) -> None:
        now = self._clock.now()
        if self._app.pipeline.has_work(now):
            for one in self._app.deliver(now):
                if one.sent or one.error:
                    log.info("delivered", target=one.target.key, sent=one.sent, **dict(one.outcomes))
        self._app.poll(now)

    def _compact(self) -> None:
        now = self._clock.now()
        with self._app.judging:
            self._app.pipeline.log.compact(to_us(now))
            self._app.pipeline.log.sweep(to_us(now))

    # ------------------------------------------------------------ rules

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._app.settings.rules:
            files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
            for file in files:
                with suppress(FileNotFoundError):
                    stat = file.stat()
                    found[file] = (stat.st_mtime_ns, stat.st_size)
        return found

    def _watch_rules(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            rules = self._app.load_rules()
            changed = self._app.go_live(rules, self._clock.now())
        except LeadupError as error:
            log.error("rules not changed: the last good ones stay", error=str(error))
            self._alert(str(error))
            return
        self._app.rules = rules
        self._alert(None)
        if changed:
            log.info("rules changed", segments=len(rules.program.segments), fingerprint=rules.program.fingerprint[:12])

    def _alert(self, text: str | None) -> None:
        with self._app.store.write() as connection:
            connection.execute(delete(meta).where(meta.c.key == ALERT))
            if text:
                connection.execute(insert(meta), [{"key": ALERT, "value": text}])

    # ------------------------------------------------------------ requests

    def _serve_requests(self) -> None:
        with self._app.store.read() as connection:
            asked = connection.execute(select(requests).where(requests.c.state == "asked")).mappings().all()
        for request in asked:
            self._answer(request["id"], "running", None)
            try:
                answer = as_json(
                    self._app.sync(
                        self._clock.now(),
                        request["arguments"]["only"],
                        accepted=request["arguments"]["accept"],
                        who=request["arguments"]["who"],
                    )
                )
            except LeadupError as error:
                self._answer(request["id"], "failed", {"error": str(error), "exit_code": error.exit_code})
            else:
                self._answer(request["id"], "done", answer)
        self._arm()

    def _answer(self, request: int, state: str, answer: object) -> None:
        done = None if state == "running" else to_us(self._clock.now())
        with self._app.store.write() as connection:
            connection.execute(
                update(requests).where(requests.c.id == request).values(state=state, answer=answer, done_us=done)
            )


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
