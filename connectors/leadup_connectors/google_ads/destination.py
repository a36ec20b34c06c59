"""Audiences as Customer Match user lists, conversions as offline conversions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from leadup.errors import NeedsHuman, Refused, TryLater
from leadup.outgoing import (
    Address,
    Capabilities,
    Change,
    Contact,
    Convert,
    Counted,
    Join,
    Leave,
    Outcome,
    Progress,
    Receipt,
    RemoteTarget,
    Restate,
    Size,
    Status,
    Target,
    Unreachable,
    Use,
)
from leadup.types import Kind
from leadup_connectors.google_ads import connector, identifiers
from leadup_connectors.google_ads.ads import connect
from leadup_connectors.google_ads.ads.actions import Actions
from leadup_connectors.google_ads.ads.rows import adjust, upload
from leadup_connectors.google_ads.client.data_manager import DataManager, UserList
from leadup_connectors.google_ads.sending import Row, Send, deliver
from leadup_connectors.google_ads.settings import GoogleAdsSettings

if TYPE_CHECKING:
    from leadup_connectors.google_ads.client.ads import GoogleAds

ANSWERED_AFTER: Final = timedelta(minutes=30)
"""Google has no answer before ("Diagnostics"). Two values of one conversion are kept this far apart as well, since no
order between them is documented."""
CLICK_KNOWN_AFTER: Final = timedelta(hours=6)
"""Before, Google does not know a click yet (Google Ads API, "ConversionUploadError": TOO_RECENT_EVENT)."""
OLDEST: Final = timedelta(days=90)
"""The longest click-through window a conversion action can have."""
SKEW: Final = timedelta(minutes=5)
"""How far this machine's clock may be ahead of Google's, lest who was just sent be taken for an old member."""
COUNTED: Final = (
    "all conversions of the action, whoever reported them, by the day of the click in the account's time zone"
)

_KEY_TYPE = {"contact": "CONTACT_ID", "user_id": "USER_ID"}
_CONTACT = frozenset({Kind.EMAIL, Kind.PHONE})
_HASHED = frozenset({identifiers.EMAIL, identifiers.PHONE})
_NAME_TAKEN = frozenset({"DISPLAY_NAME_ALREADY_USED", "ALREADY_EXISTS"})
_CURRENCY = re.compile(r"[A-Z]{3}")


class GoogleAdsDestination:
    """A Google Ads account. Its answers come in two steps: a batch is accepted now, and worked off within hours."""

    def __init__(self, connection: str, settings: GoogleAdsSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._api = DataManager(settings)
        self._currencies = {action.id: action.currency for action in settings.conversion_actions.values() if action.id}
        self.can = Capabilities(
            uses=frozenset({Use.AUDIENCE, Use.CONVERSION}),
            batch={
                "join": settings.batch_members,
                "leave": settings.batch_members,
                "convert": settings.batch_events,
                "restate": settings.batch_events,
            },
            needs={
                Use.AUDIENCE: _CONTACT if settings.key == "contact" else frozenset({Kind.USER_ID}),
                Use.CONVERSION: _CONTACT if settings.user_data_with_conversions else frozenset(),
            },
            click_ids=frozenset(identifiers.CLICK_IDS),
            purposes=connector.purposes,
            max_age=OLDEST,
            min_click_age=CLICK_KNOWN_AFTER,
            restates_for=connector.restates_for,
            currencies={name: a.currency for name, a in settings.conversion_actions.items() if a.currency},
            poll_after=timedelta(seconds=1) if settings.is_local else ANSWERED_AFTER,
        )

    def check(self) -> None:
        """Read one user list: tells whether credentials, API and account are in order."""
        self._api.check()

    def prepare(self, target: Target) -> RemoteTarget:
        """Find or create the user list; for a conversion look its action up in the settings.

        Data Manager can neither create nor list conversion actions.
        """
        if target.use is Use.CONVERSION:
            return self._action(target)
        if target.use is not Use.AUDIENCE:
            raise Refused(f"{self._connection}: Google Ads has no {target.use} to write", code="unsupported_use")
        self._require_terms()
        found = self._adopted(target) or self._api.find_user_list(target.remote_name)
        user_list = found or self._create(target.remote_name)
        self._require_usable(user_list)
        return RemoteTarget(
            id=user_list.id,
            name=user_list.name,
            created=found is None,
            refresh_after=user_list.membership * 9 // 10,
        )

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        """Answer from what is known of each person; nothing is asked of Google, which never tells whom it matched.

        A conversion may go by its click id alone, so that nobody is unreachable for one.
        """
        if target.use is Use.CONVERSION:
            send = self._settings.user_data_with_conversions
            return [Address(identifiers.contact_ids(person) if send else ()) for person in people]
        find, missing = (
            (identifiers.contact_ids, "neither an e-mail address nor a phone number is known")
            if self._settings.key == "contact"
            else (identifiers.user_ids, "no user id is known")
        )
        unreachable = Unreachable(code="no_identifier", detail=missing)
        return [Address(ids) if (ids := find(person)) else unreachable for person in people]

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        """Send a batch; what Google takes is ``accepted`` with the request id as handle.

        Google refuses a whole request for one bad row. So rows are checked here first, those that Google names are
        rejected and the rest is sent again, and when it names none, halves are tried.
        """
        receipts: dict[int, Receipt] = {}
        rows: list[Row] = []
        seen: set[str] = set()
        for number, change in enumerate(batch):
            if fault := self._fault(to, change):
                receipts[number] = Receipt(outcome=Outcome.REJECTED, code=fault[0], detail=fault[1])
            elif isinstance(change, Convert) and change.transaction_id in seen:
                receipts[number] = Receipt(
                    outcome=Outcome.LATER,
                    code="same_transaction_id",
                    detail="an earlier change of this batch has the same transaction id",
                    retry_after=self.can.poll_after,
                )
            else:
                rows.append((number, change))
                if isinstance(change, Convert):
                    seen.add(change.transaction_id)
        if rows:
            receipts.update(self._hand_over(to, rows))
        return [receipts[number] for number in range(len(batch))]

    def _hand_over(self, to: RemoteTarget, rows: Sequence[Row]) -> Mapping[int, Receipt]:
        """Send rows. A request that Google refuses as a whole, for no row's sake, ends none of them."""
        send = self._sender(to, rows[0][1])
        try:
            if row_by_row := self._by_ads_api(to, rows):
                return dict(zip((number for number, _ in rows), row_by_row, strict=True))
            return deliver(send, rows)
        except Refused as refused:
            raise NeedsHuman(
                str(refused),
                todo=f"see whether what the settings of connection {self._connection!r} name is as Google takes it; if "
                "it is, report this to whoever maintains leadup. It is tried again every hour",
            ) from None

    def poll(self, handles: Sequence[str]) -> Sequence[Status]:
        """Ask for each request what became of it. Google counts failed rows by reason and never says which.

        Once one is answered, a failure leaves the others as still processing: else a long list would never get past
        the quota.
        """
        statuses: list[Status] = []
        for handle in handles:
            try:
                statuses.append(self._api.request_status(handle))
            except (TryLater, NeedsHuman):
                if not statuses:
                    raise
                unasked = handles[len(statuses) :]
                return [*statuses, *(Status(handle=left, progress=Progress.PROCESSING) for left in unasked)]
        return statuses

    def size(self, of: RemoteTarget) -> Size:
        """Read the list's estimates."""
        found = self._api.user_list(of.id)
        if found is None:
            raise Refused(f"{self._connection}: the user list {of.name!r} ({of.id}) is gone", code="NOT_FOUND")
        return Size(
            members=found.members,
            match_rate=found.match_rate,
            kept_for=found.membership,
            keyed_by=", ".join(sorted(found.key_types)),
        )

    def counted(self, of: Target, remote_id: str, since: date, until: date) -> Counted | None:
        """Ask the Google Ads API, if it is there, what a conversion action counted."""
        local = self._settings.is_local and not self._settings.ads_is_local
        if of.use is not Use.CONVERSION or local:
            return None
        days = self._actions.by_day(remote_id, since, until)
        return Counted(total=sum(days.values()), days=days, note=COUNTED)

    def remove_others(self, of: RemoteTarget, sent_before: datetime) -> Receipt:
        """Empty a list of all who were last added before an instant, less :data:`SKEW`."""
        return Receipt(outcome=Outcome.ACCEPTED, handle=self._api.remove_all(of.id, sent_before - SKEW).request_id)

    # ------------------------------------------------------------ targets

    def _action(self, target: Target) -> RemoteTarget:
        action = self._settings.conversion_actions.get(target.name)
        if action is None:
            raise NeedsHuman(
                f"{self._connection}: no conversion action is set for the conversion {target.name!r}",
                todo=f'add {target.name} = "ACTION_ID" under [connections.{self._connection}.conversion_actions]; '
                "the id is the number after ctId= in the address of the action's page in Google Ads. With "
                f"leadup[google-ads], {target.name} = {{create = true}} lets leadup make it",
            )
        if action.id and not self._settings.check_actions:
            return RemoteTarget(id=action.id, name=target.remote_name)
        found, created = self._actions.ensure(action, target.remote_name)
        self._currencies[found.id] = action.currency
        return RemoteTarget(id=found.id, name=found.name, created=created)

    def _adopted(self, target: Target) -> UserList | None:
        """The list that the settings name by its id; None: they name none for this audience."""
        if (list_id := self._settings.user_lists.get(target.name)) is None:
            return None
        if (found := self._api.user_list(list_id)) is None:
            raise NeedsHuman(
                f"{self._connection}: operating_account has no user list {list_id} for the audience {target.name!r}",
                todo=f"correct {target.name} under [connections.{self._connection}.user_lists]; the id is the number "
                "after userListId= in the address of the list's page, and the account must own the list",
            )
        return found

    def _create(self, name: str) -> UserList:
        membership = timedelta(days=self._settings.membership_days)
        try:
            return self._api.create_user_list(name, _KEY_TYPE[self._settings.key], membership)
        except Refused as error:
            # Made by someone else, or by us a moment ago with the answer lost.
            if error.code in _NAME_TAKEN and (found := self._api.find_user_list(name)):
                return found
            raise

    def _require_usable(self, found: UserList) -> None:
        name, wanted = found.name, _KEY_TYPE[self._settings.key]
        if wanted not in found.key_types:
            raise NeedsHuman(
                f"{self._connection}: the user list {name!r} exists and is keyed by "
                f"{', '.join(sorted(found.key_types)) or 'something else'}, not by {wanted}",
                todo="give the audience another name in the rules, or rename the list in Google Ads; a list's key can "
                "not be changed",
            )
        if found.read_only or not found.is_open:
            raise NeedsHuman(
                f"{self._connection}: the user list {name!r} takes no members: "
                f"{'it is read-only' if found.read_only else 'it is closed'}",
                todo="open the list in Google Ads (Tools > Audience manager), or give the audience another name",
            )

    def _require_terms(self) -> None:
        if self._settings.key == "contact" and not self._settings.terms_accepted:
            raise NeedsHuman(
                f"{self._connection}: the Customer Match terms are not accepted",
                todo="accept them in Google Ads (Tools > Data manager) and set terms_accepted = true under "
                f"[connections.{self._connection}]",
            )

    # ------------------------------------------------------------ the Google Ads API

    @cached_property
    def _ads(self) -> GoogleAds:
        return connect(self._connection, self._settings)

    @cached_property
    def _actions(self) -> Actions:
        return Actions(self._connection, self._settings, self._ads)

    def _by_ads_api(self, to: RemoteTarget, rows: Sequence[Row]) -> Sequence[Receipt] | None:
        """Send rows by the Google Ads API, if the settings say so; None: they do not."""
        restated = [change for _, change in rows if isinstance(change, Restate)]
        if restated:
            return adjust(self._ads, to.id, restated) if self._settings.adjust_by == "google_ads" else None
        converted = [change for _, change in rows if isinstance(change, Convert)]
        return upload(self._ads, to.id, converted) if converted and self._settings.upload_by == "google_ads" else None

    # ------------------------------------------------------------ rows

    def _sender(self, to: RemoteTarget, first: Change) -> Send:
        if isinstance(first, Join):
            self._require_terms()
            return lambda rows: self._api.ingest_members(to.id, rows)
        if isinstance(first, Leave):
            return lambda rows: self._api.remove_members(to.id, rows)
        if isinstance(first, Convert):
            return lambda rows: self._api.ingest_events(to.id, [row for row in rows if isinstance(row, Convert)])
        raise Refused(f"{self._connection}: Google Ads can not {first.verb}", code="unsupported_verb")

    def _fault(self, to: RemoteTarget, change: Change) -> tuple[str, str] | None:
        """Why Google would never take this row: a code of ours and a text without personal data; None: it may."""
        ids = change.to.ids
        if isinstance(change, Convert):
            return _fault_of_identifiers(change, _HASHED) or self._fault_of_event(to, change)
        if not ids:
            return "no_identifier", "the change names nobody"
        allowed = _HASHED if self._settings.key == "contact" else frozenset({identifiers.USER_ID})
        if allowed is not _HASHED and len(ids) > 1:
            return "too_many_identifiers", "a member of a USER_ID list has one user id"
        return _fault_of_identifiers(change, allowed)

    def _fault_of_event(self, to: RemoteTarget, change: Convert) -> tuple[str, str] | None:
        if not change.to.ids and identifiers.click_id(change.click_ids) is None:
            return "no_click_id_or_user_data", "there is no gclid, gbraid or wbraid, and no hashed e-mail or phone"
        if isinstance(change, Restate) and change.value is None and self._settings.adjust_by == "google_ads":
            return "no_value", "an adjustment gives a conversion an amount, and there is none"
        if not change.transaction_id:
            return "no_transaction_id", "without one a second sending would count twice"
        if change.at.tzinfo is None:
            return "bad_timestamp", "the time of the conversion has no zone"
        if change.value is not None:
            currency, wanted = change.value.currency, self._currencies.get(to.id)
            if not _CURRENCY.fullmatch(currency):
                return "bad_currency", f"{currency!r} is not an ISO 4217 code"
            if wanted is not None and currency != wanted:
                return "other_currency", f"the amount is in {currency}, the conversion action's currency is {wanted}"
        return None


def _fault_of_identifiers(change: Change, allowed: frozenset[str]) -> tuple[str, str] | None:
    ids = change.to.ids
    if len(ids) > identifiers.MOST_IDENTIFIERS:
        return "too_many_identifiers", f"{len(ids)} identifiers; Google takes {identifiers.MOST_IDENTIFIERS}"
    if others := {remote_id.kind for remote_id in ids} - allowed:
        return "wrong_identifier", f"{', '.join(sorted(others))} can not be sent here"
    if not all(i.value for i in ids) or not all(identifiers.is_sha256(i.value) for i in ids if i.kind in _HASHED):
        return "bad_identifier", "an identifier is empty or not a SHA-256 in lower-case hex"
    return None
