"""One way to send every call: within the limits, with timeouts, again where that helps, and errors by family."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import tenacity

from leadup.errors import BudgetSpent, LeadupError, NeedsHuman, TryLater
from leadup.types import Json
from leadup_connectors.hubspot.answers import HubSpotRefused, family, unreadable
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Cut, Garbled, Request, Wire
from leadup_connectors.hubspot.limits import limits
from leadup_connectors.hubspot.settings import HubSpotSettings

PATIENCE: Final = 30.0
"""Seconds that the tries of one call may take; what needs longer belongs to the outbox."""

_log = logging.getLogger(__name__)


class Caller:
    """Sends calls and returns the answers' data. Safe to use from several threads.

    Each call raises TryLater, NeedsHuman or HubSpotRefused, whose texts tell neither secrets nor addresses. One that
    may be repeated is: ``settings.tries`` times within :data:`PATIENCE`, and as HubSpot asks by ``Retry-After``.
    """

    def __init__(self, connection: str, settings: HubSpotSettings, wire: Wire) -> None:
        self._connection, self._settings, self._wire = connection, settings, wire
        self.limits = limits(settings.base_url, settings.access_token.get_secret_value())
        self.limits.searches(settings.searches_per_second)
        self.clock: datetime | None = None
        """HubSpot's, at its last answer, in whole seconds; None: no answer has told it."""

    def ask(self, call: Call, body: Json = None, /, **place: str) -> Any:
        """Send until answered; ``place`` fills the path. Returns the answer's data, as JSON."""
        return self.send(Request(call, place, body=body))[0]

    def find(self, call: Call, /, **place: str) -> Any:
        """The same for a look-up; None when HubSpot answers 404."""
        try:
            return self.ask(call, **place)
        except HubSpotRefused as refused:
            if refused.status == 404:
                return None
            raise

    def send(self, request: Request, *, settles: bool = False) -> tuple[Any, bool]:
        """Send until answered; return the answer's data, and whether an earlier try may have done the work before.

        ``settles``: a refusal does not settle what an earlier try may have done, so it becomes TryLater then.
        """
        doubtful = False

        def once() -> Any:
            nonlocal doubtful
            try:
                return self._once(request)
            except TryLater as error:
                doubtful = doubtful or not error.nothing_done
                error.nothing_done = not doubtful
                raise

        tries = self._settings.tries if request.call.value.repeat else 1
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            stop=tenacity.stop_after_attempt(tries) | tenacity.stop_before_delay(PATIENCE),
            wait=self._pause,
            before_sleep=tenacity.before_sleep_log(_log, logging.INFO),
            reraise=True,
        )
        try:
            return retrying(once), doubtful
        except NeedsHuman as refused:
            if not (settles and doubtful):
                raise
            error = TryLater(str(refused))
        raise error

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryLater) and error.retry_after is not None:
            return error.retry_after.total_seconds()
        return float(self._settings.pause * 2 ** (state.attempt_number - 1))

    def _once(self, request: Request) -> Any:
        timeouts = (self._settings.connect_timeout, self._settings.read_timeout)
        what = request.call.what
        error: LeadupError
        with self.limits.call(search=request.call.value.search):
            try:
                answer = self._wire.send(request, timeouts)
            except Cut as reason:
                error = TryLater(
                    f"HubSpot ({self._settings.base_url}) did not answer when asked to {what}: {reason}.\n"
                    f"  What to do: nothing if it passes, since it is tried again; else check the network, any proxy "
                    f"and base_url of connection {self._connection!r}.",
                    nothing_done=not reason.sent,
                )
            except Garbled:
                error = unreadable(what)
            else:
                self.limits.learn(answer.headers)
                self.clock = _date(answer.headers) or self.clock
                if 200 <= answer.status < 300:
                    return answer.data
                error = family(
                    what,
                    answer.status,
                    answer.headers,
                    answer.data,
                    connection=self._connection,
                    burst=self.limits.interval,
                    zone=self.limits.zone,
                )
                if isinstance(error, BudgetSpent) and error.retry_after is not None:
                    self.limits.spent(error.retry_after)
        raise error  # outside of the handler, since another error would show the whole answer in a traceback


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return found if found.tzinfo else None
