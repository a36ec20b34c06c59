"""The HubSpot source keeps the contract of sources, for contacts, forms and deals, with both versions of the API."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime

import pytest
from hubspot_account import Stage
from hubspot_crm import LAG, MEETING, SECOND, Crm, Timed, of

from leadup.kit import Source
from leadup.sandbox import Weather
from leadup.testing.sources import BrokenLineContract, ServedFeed
from leadup.types import Event, Fact, Kind


class _Feed:
    """What the three feeds share. Each thing happens a second after the one before."""

    read: str

    def __init__(self, stage: Stage) -> None:
        self.crm = Crm(stage)
        self._count = 0

    @property
    def weather(self) -> Weather:
        return self.crm.weather

    def source(self) -> Source:
        return Timed(self.crm, self.read)

    def add(self, count: int) -> Sequence[Hashable]:
        keys = []
        for _ in range(count):
            self.crm.now += SECOND
            self._count += 1
            keys.append(self.one(self._count))
        return keys

    def one(self, number: int) -> Hashable:
        raise NotImplementedError


class _Contract(BrokenLineContract):
    several_pages = 11

    def complete(self, until: datetime, *, empty: bool = False) -> datetime | None:
        return until - LAG


class ContactsFeed(_Feed):
    read = "contacts"

    def one(self, number: int) -> Hashable:
        contact: str = self.crm.sandbox.add_contact(f"c{number}@example.com")
        return contact


class TestContacts(_Contract):
    @pytest.fixture
    def feed(self, stage: Stage) -> ServedFeed:
        return ContactsFeed(stage)

    def key(self, record: Event | Fact) -> Hashable:
        (contact,) = of(record, Kind.HUBSPOT_ID)
        return contact


class DealsFeed(_Feed):
    read = "deals"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._contact = self.crm.sandbox.add_contact("ada@example.com")

    def one(self, number: int) -> Hashable:
        deal = self.crm.sandbox.add_deal(stage=MEETING, contacts=[self._contact])
        return f"deal-{deal}-stage-{MEETING}"


class TestDeals(_Contract):
    @pytest.fixture
    def feed(self, stage: Stage) -> ServedFeed:
        return DealsFeed(stage)


class FormsFeed(_Feed):
    read = "forms"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._form = self.crm.sandbox.add_form("Ask for a demo")

    def one(self, number: int) -> Hashable:
        return f"form-{self.crm.sandbox.submit_form(self._form, {'email': f'c{number}@example.com'})}"


class TestForms(_Contract):
    reads_again = True
    """The newest come first: what comes while pages are read moves the others on, and they come again."""

    @pytest.fixture
    def feed(self, stage: Stage) -> ServedFeed:
        return FormsFeed(stage)
