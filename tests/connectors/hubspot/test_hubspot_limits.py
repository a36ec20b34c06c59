"""HubSpot's limits as :class:`leadup_connectors.hubspot.limits.Limits` keeps them, with a clock that does not wait."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hubspot_account import AUDIENCE, Stage, connect, person
from hypothesis import given
from hypothesis import strategies as st

from leadup.errors import BudgetSpent
from leadup.outgoing import Budget
from leadup_connectors.hubspot.limits import SEARCHES, SHARED, Limits, limits

BERLIN = ZoneInfo("Europe/Berlin")
EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


class Time:
    """Seconds that pass only when somebody waits, and a millisecond at each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


class Account:
    """HubSpot's side: a rolling limit, which other processes of the app may use as well."""

    def __init__(self, most: int, daily: int = 250_000) -> None:
        self.time = Time()
        self.limits = Limits(self.time.now, self.time.wait)
        self.most, self.daily = most, daily
        self.left = daily
        self.calls: list[float] = []
        self.refused = 0

    def others(self, count: int) -> None:
        """Another process makes calls."""
        self.calls += [self.time.seconds] * count
        self.left -= count

    def call(self, *, search: bool = False) -> None:
        """We make one; a search's answer tells nothing."""
        with self.limits.call(search=search):
            now = self.time.now()
            self.left -= 1
            if self.recent(now) >= self.most:
                self.refused += 1
            else:
                self.calls.append(now)
            self.limits.learn({} if search else self.headers(now))

    def recent(self, now: float) -> int:
        return len(self.calls) - bisect_left(self.calls, now - 10)

    def headers(self, now: float) -> dict[str, str]:
        return {
            "X-HubSpot-RateLimit-Max": str(self.most),
            "X-HubSpot-RateLimit-Remaining": str(self.most - self.recent(now)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": str(self.daily),
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.left),
        }

    @property
    def budget(self) -> Budget:
        self.limits.belongs_to("hubspot 1", BERLIN)
        budget = self.limits.budget()
        assert budget is not None
        return budget


@given(st.integers(1, 20), st.lists(st.floats(0, 15), min_size=1, max_size=60))
def test_alone_we_never_meet_the_burst_limit_and_never_wait_without_need(most: int, pauses: list[float]) -> None:
    account = Account(most)
    for pause in pauses:
        account.time.wait(pause)
        began = account.time.seconds
        free = account.recent(began) < most
        account.call()
        assert not free or account.time.seconds - began < 0.1
    assert account.refused == 0


def test_calls_of_other_processes_leave_less_room() -> None:
    account = Account(10)
    account.others(7)
    for _ in range(6):
        account.call()
    assert account.refused == 0
    assert account.time.seconds > 10


def test_trap_search_answers_without_headers_and_takes_five_in_a_second() -> None:
    account = Account(1_000)
    for _ in range(3 * SEARCHES):
        account.call(search=True)
    assert 2 < account.time.seconds < 2.2
    began = account.time.seconds
    for _ in range(100):
        account.call()
    assert account.time.seconds - began < 1, "other calls do not wait for searches"


@pytest.mark.parametrize(
    ("place", "account", "together"), [("p", "hubspot 1", True), ("p", "hubspot 2", False), ("q", "hubspot 1", False)]
)
def test_trap_the_five_searches_are_the_accounts_whatever_the_token(place: str, account: str, together: bool) -> None:
    time = Time()
    one, other = Limits(time.now, time.wait, place="p"), Limits(time.now, time.wait, place=place)

    def search(by: Limits, times: int) -> None:
        for _ in range(times):
            with by.call(search=True):
                time.now()

    search(other, SEARCHES - 1)  # before it is known whose they are
    one.belongs_to("hubspot 1", BERLIN)
    other.searches(SEARCHES - 1)
    other.belongs_to(account, BERLIN)
    search(one, 1)
    assert (time.seconds > 1) == together
    began = time.seconds
    search(one, SEARCHES - 2)
    search(other, 1)
    assert (time.seconds - began > 1) == together
    with one.call():
        search(other, 1)


def test_trap_searches_count_in_the_day_though_their_answers_do_not_tell() -> None:
    account = Account(1_000)
    account.call()
    before = account.budget
    for _ in range(7):
        account.call(search=True)
    assert (before.left, account.budget.left) == (249_999, 249_992)
    account.others(1_000)
    account.call()
    assert account.budget.left == account.left == 248_991, "what the headers say counts"
    assert before.told < account.budget.told
    account.time.wait(3600)
    assert timedelta(hours=1) <= account.budget.age < timedelta(hours=1, seconds=1)


def test_trap_oauth_apps_are_not_told_of_the_day() -> None:
    shared = Limits()
    shared.belongs_to("hubspot 1", BERLIN)
    with shared.call():
        shared.learn({"X-HubSpot-RateLimit-Max": "110", "X-HubSpot-RateLimit-Remaining": "109"})
    assert shared.budget() is None
    shared.spent(timedelta(hours=1))
    told = shared.budget()
    assert told is not None
    assert (told.limit, told.left, told.zone) == (None, 0, BERLIN)


def test_whose_day_it_is_must_be_known() -> None:
    account = Account(10)
    account.call()
    assert account.limits.budget() is None
    assert account.budget.account == "hubspot 1"


def test_after_the_day_is_used_up_nothing_is_sent_before_midnight() -> None:
    account = Account(10)
    account.call()
    account.limits.spent(timedelta(hours=3))
    with pytest.raises(BudgetSpent) as caught:
        account.call()
    assert caught.value.retry_after is not None
    assert timedelta(hours=2.99) < caught.value.retry_after <= timedelta(hours=3)
    assert (len(account.calls), account.budget.left) == (1, 0)
    account.time.wait(3 * 3600)
    account.call()
    assert (len(account.calls), account.budget.left) == (2, 249_998)


def test_limits_are_shared_by_token_and_address_and_nobody_keeps_the_token() -> None:
    one, same = limits("https://api.hubapi.com", "pat-secret"), limits("https://api.hubapi.com", "pat-secret")
    assert one is same
    assert limits("https://api.hubapi.com", "pat-other") is not one
    assert limits("http://127.0.0.1:1", "pat-secret") is not one
    assert not any("pat-" in key for key in SHARED)
    one.spent(timedelta(hours=1))
    del one, same
    gc.collect()
    assert limits("https://api.hubapi.com", "pat-secret").budget() is None, "nobody works with it any more"


def test_a_new_connection_of_the_same_token_knows_what_the_others_have_learned_and_used(stage: Stage) -> None:
    server = stage.play(burst=4, interval=0.2)
    one, other = connect(server), connect(server)
    one.address(AUDIENCE, [person(1, EMAIL)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: other.address(AUDIENCE, [person(n, EMAIL)]), range(12)))
    assert [each.status for each in server.sandbox.weather.log] == [207] * 13


def test_what_is_counted_down_is_as_old_as_the_word_it_goes_by() -> None:
    """Answers to searches tell nothing: after a night of them the word is still of the day before."""
    time = Time()
    kept = Limits(time.now, time.wait)
    kept.belongs_to("hubspot 1", BERLIN)
    kept.learn({"X-HubSpot-RateLimit-Daily": "250000", "X-HubSpot-RateLimit-Daily-Remaining": "20000"})
    for _ in range(60):
        time.wait(60)
        kept.learn({})
    found = kept.budget()
    assert found is not None
    assert found.left == 20_000 - 60
    assert found.age >= timedelta(hours=1)
