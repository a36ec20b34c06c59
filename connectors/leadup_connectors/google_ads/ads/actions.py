"""Conversion actions: found by name or made, looked at before they are used, promoted and demoted by a person.

What leadup makes is secondary: bidding does not use it, and nothing that was bid for changes. A new kind of goal
(category and origin) that Google makes along with it is taken out of bidding as well; one that other actions have is
left as it is, since it is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from leadup.errors import NeedsHuman, Refused, TryLater
from leadup_connectors.google_ads.settings import ConversionAction, GoogleAdsSettings

if TYPE_CHECKING:
    from leadup_connectors.google_ads.client.ads import GoogleAds, Row

UPLOADS: Final = "UPLOAD_CLICKS"
UNFINISHED: Final = " (unfinished)"
"""What an action's name ends with until it is out of bidding."""
_FIELDS: Final = (
    "id",
    "name",
    "type",
    "status",
    "category",
    "origin",
    "counting_type",
    "primary_for_goal",
    "owner_customer",
    "value_settings.always_use_default_value",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A conversion action as Google has it; enums by their names."""

    id: str
    name: str
    type: str
    status: str
    category: str
    origin: str
    counting: str
    primary: bool
    owner: str
    """The account that owns it."""
    always_default: bool
    """Each conversion counts the action's own value, whatever is reported."""

    @property
    def goal(self) -> tuple[str, str]:
        """The goal it belongs to, by category and origin."""
        return self.category, self.origin


@dataclass(frozen=True, slots=True)
class Counted:
    """What an action counted in 30 days, whoever reported it: conversions, and value in the account's currency."""

    conversions: float = 0.0
    value: float = 0.0


class Actions:
    """The conversion actions of an account. Every method may raise TryLater, NeedsHuman or Refused."""

    def __init__(self, connection: str, settings: GoogleAdsSettings, api: GoogleAds) -> None:
        self._connection = connection
        self._settings = settings
        self._api = api

    # ------------------------------------------------------------ what there is

    def all(self) -> list[Action]:
        """All that were not removed, by name."""
        rows = self._api.search(
            "conversion_action",
            [f"conversion_action.{name}" for name in _FIELDS],
            "conversion_action.status != 'REMOVED'",
        )
        return sorted((_action(row) for row in rows), key=lambda action: (action.name, action.id))

    def counted(self, days: Literal[7, 30] = 30) -> dict[str, Counted]:
        """What each counted in the last days, without today, by id; none for those that counted nothing."""
        fields = ("conversion_action.id", "metrics.all_conversions", "metrics.all_conversions_value")
        rows = self._api.search("conversion_action", fields, f"segments.date DURING LAST_{days}_DAYS")
        return {
            str(row[fields[0]]): Counted(_number(row[fields[1]]), _number(row[fields[2]]))
            for row in rows
            if row[fields[1]]
        }

    def by_day(self, action_id: str, since: date, until: date) -> dict[str, float]:
        """What one counted on these days, both included: by the day of the click, in the account's time zone."""
        id_, day, count = "conversion_action.id", "segments.date", "metrics.all_conversions"
        where = f"{day} BETWEEN '{since}' AND '{until}' AND {id_} = {int(action_id)}"
        return {
            str(row[day]): _number(row[count])
            for row in self._api.search("conversion_action", (id_, day, count), where)
        }

    def goals(self) -> dict[tuple[str, str], bool]:
        """Whether bidding uses each goal of the account."""
        fields = [f"customer_conversion_goal.{name}" for name in ("category", "origin", "biddable")]
        rows = self._api.search("customer_conversion_goal", fields)
        return {(str(row[fields[0]]), str(row[fields[1]])): bool(row[fields[2]]) for row in rows}

    def campaigns(self) -> list[str] | None:
        """Names of running campaigns that bid for the account's own goals; None: Google does not say."""
        config = "conversion_goal_campaign_config"
        where = f"{config}.goal_config_level = 'CUSTOMER' AND campaign.status = 'ENABLED'"
        try:
            rows = self._api.search(config, ("campaign.name",), where)
        except Refused:
            return None
        return sorted(str(row["campaign.name"]) for row in rows)

    # ------------------------------------------------------------ find, make, look at

    def ensure(self, wanted: ConversionAction, name: str) -> tuple[Action, bool]:
        """Return the action that is meant, and whether it was made just now. Idempotent.

        ``name``: what it is called if the settings do not say.
        """
        name = wanted.name or name
        there = self.all()
        found = next((one for one in there if (one.id == wanted.id if wanted.id else one.name == name)), None)
        if found is None and not wanted.create:
            raise self._missing(wanted, name)
        made = found or self._make(wanted, name, there)
        self._require_usable(made)
        return made, found is None

    def _make(self, wanted: ConversionAction, name: str, there: Sequence[Action]) -> Action:
        """Make an action and take it out of bidding.

        Google makes it primary. So it has another name until it is secondary: whatever ends this on the way, it is
        known as unfinished by then, and is not taken for one that somebody promoted.
        """
        unfinished = f"{name}{UNFINISHED}"
        new = next((one for one in there if one.name == unfinished), None)
        if new is None:
            self._api.create_action(
                unfinished, category=wanted.category, lookback_days=wanted.lookback_days, currency=wanted.currency
            )
            there = self.all()
            new = next((one for one in there if one.name == unfinished), None)
        if new is None:
            raise TryLater(f"{self._connection}: the conversion action {name!r} was made, and is not to be seen yet")
        alone = not any(one.goal == new.goal for one in there if one.id != new.id)
        if alone and self.goals().get(new.goal, False):
            self._api.set_biddable(*new.goal, biddable=False)
        self._api.set_primary(new.id, primary=False, name=name)
        return replace(new, name=name, primary=False)

    def _missing(self, wanted: ConversionAction, name: str) -> NeedsHuman:
        which = f"with the id {wanted.id}" if wanted.id else f"called {name!r}"
        return NeedsHuman(
            f"{self._connection}: account {self._settings.operating_account} has no conversion action {which}",
            todo=f"correct it under [connections.{self._connection}.conversion_actions], or let leadup make it: "
            f'{{create = true, category = "{wanted.category}"}}. An id is the number after ctId= in the address of '
            "the action's page in Google Ads",
        )

    def _require_usable(self, action: Action) -> None:
        owner, ours = action.owner, self._settings.operating_account
        place = f"Google Ads (Goals > Conversions > {action.name})"
        for wrong, todo in (
            (
                f"its type is {action.type}, not {UPLOADS}" if action.type != UPLOADS else "",
                "name one of the type Import > from clicks; a type can not be changed",
            ),
            (
                f"it is {action.status.lower()}" if action.status != "ENABLED" else "",
                f"enable it in {place}",
            ),
            (
                f"account {owner} owns it, not operating_account {ours}" if owner and owner != ours else "",
                f"set operating_account = {owner!r} in a connection of its own, or name an action of {ours}",
            ),
            (
                "every conversion counts its own value, whatever is reported" if action.always_default else "",
                f"choose 'use different values for each conversion' in {place}",
            ),
        ):
            if wrong:
                raise NeedsHuman(
                    f"{self._connection}: the conversion action {action.name!r} can not be used: {wrong}", todo=todo
                )

    # ------------------------------------------------------------ for a person

    def named(self, text: str) -> Action:
        """Return the one action with this name or id.

        Raises:
            NeedsHuman: there is none, or there are several.
        """
        there = self.all()
        found = [one for one in there if text in (one.id, one.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(repr(one.name) for one in there if one.type == UPLOADS) or "none"
        raise NeedsHuman(
            f"{self._connection}: {'several conversion actions are' if found else 'no conversion action is'} called "
            f"{text!r}",
            todo="give its id, as `leadup google-ads actions` shows it" if found else f"name one of: {names}",
        )

    def promote(self, action: Action) -> None:
        """Let bidding use an action: make it primary, and its goal biddable."""
        self._api.set_primary(action.id, primary=True)
        if not self.goals().get(action.goal, False):
            self._api.set_biddable(*action.goal, biddable=True)

    def demote(self, action: Action) -> None:
        """Take an action out of bidding, and its goal as well if that has no other primary action."""
        self._api.set_primary(action.id, primary=False)
        others = any(one.goal == action.goal and one.primary for one in self.all() if one.id != action.id)
        if not others and self.goals().get(action.goal, False):
            self._api.set_biddable(*action.goal, biddable=False)


def _action(row: Row) -> Action:
    said = {name: row[f"conversion_action.{name}"] for name in _FIELDS}
    return Action(
        id=str(said["id"]),
        name=str(said["name"]),
        type=str(said["type"]),
        status=str(said["status"]),
        category=str(said["category"]),
        origin=str(said["origin"]),
        counting=str(said["counting_type"]),
        primary=bool(said["primary_for_goal"]),
        owner=str(said["owner_customer"]).rpartition("/")[2],
        always_default=bool(said["value_settings.always_use_default_value"]),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
