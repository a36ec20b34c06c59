"""The Google Ads destination keeps the contract of destinations."""

from collections.abc import Callable, Sequence

import pytest
from google_scenes import ACTION, AUDIENCE, CONVERSION, Emulators, connect, person, sandbox

from leadup.outgoing import Address, Contact, RemoteId, Target
from leadup.sandbox import Server
from leadup.testing.destinations import PASSING, ConversionContract, DestinationContract, Scene
from leadup.types import Kind
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.identifiers import contact_ids


class _Google:
    @pytest.fixture
    def server(self, emulators: Emulators) -> Server:
        return emulators.fresh()

    @pytest.fixture
    def destination(self, server: Server) -> GoogleAdsDestination:
        return connect(server)

    @pytest.fixture
    def contacts(self) -> Sequence[Contact]:
        return [person(number) for number in (1, 2, 3)]

    @pytest.fixture
    def secrets(self, contacts: Sequence[Contact]) -> Sequence[str]:
        addresses = [e.address.get_secret_value() for c in contacts for e in c.emails if e.address]
        hashes = [i.value for c in contacts for i in c.identifiers if i.kind is not Kind.USER_ID]
        return [*addresses, *hashes, "Bearer"]


class TestContactLists(_Google, DestinationContract):
    @pytest.fixture
    def audience(self) -> Target:
        return AUDIENCE

    @pytest.fixture
    def members(self, server: Server, contacts: Sequence[Contact]) -> Callable[[], Sequence[RemoteId]]:
        known = {remote.value: remote for contact in contacts for remote in contact_ids(contact)}
        return lambda: [known[value] for value in sandbox(server).members(AUDIENCE.remote_name)]


class TestUserIdLists(_Google, DestinationContract):
    """Their own rows; what errors mean is tested once, above."""

    test_a_lasting_fault_is_for_later = None  # type: ignore[assignment]

    @pytest.fixture
    def destination(self, server: Server) -> GoogleAdsDestination:
        return connect(server, key="user_id")

    @pytest.fixture
    def audience(self) -> Target:
        return AUDIENCE

    @pytest.fixture
    def members(self, server: Server) -> Callable[[], Sequence[RemoteId]]:
        return lambda: [RemoteId("user_id", value) for value in sandbox(server).members(AUDIENCE.remote_name)]


class TestConversions(_Google, ConversionContract):
    """Two laws do not apply: an action is named in the settings, so that preparing one makes and asks nothing."""

    @pytest.fixture
    def conversion(self) -> Target:
        return CONVERSION

    @pytest.fixture
    def conversions(self, server: Server) -> Callable[[], Sequence[tuple[str, int]]]:
        def held() -> Sequence[tuple[str, int]]:
            found = sandbox(server).conversions(ACTION).items()
            return [(key, round(one["value"] * 100)) for key, one in found for _ in range(one["count"])]

        return held

    def test_prepare_twice_finds_the_same_target(self, scene: Scene) -> None:
        first, second = (scene.destination.prepare(scene.target) for _ in range(2))
        assert first == second
        assert not first.created
        assert scene.server.sandbox.weather.log == []

    def test_people_are_answered_in_order_and_nobody_is_unreachable(self, scene: Scene) -> None:
        """A conversion may go by its click id alone."""
        answers = scene.destination.address(scene.target, [*scene.contacts, Contact(person=-1)])
        assert answers[-1] == Address(())
        assert len(answers) == len(scene.contacts) + 1

    @pytest.mark.parametrize("door", ["check", "address", "deliver"])
    @pytest.mark.parametrize("weather", PASSING)
    def test_a_lasting_fault_is_for_later(
        self, scene: Scene, weather: str, door: str, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        super().test_a_lasting_fault_is_for_later(scene, weather, door, secrets, caplog)

    @pytest.mark.parametrize("door", ["check", "address", "deliver"])
    def test_a_refused_token_needs_a_human(
        self, scene: Scene, door: str, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        super().test_a_refused_token_needs_a_human(scene, door, secrets, caplog)
