"""What the Google Ads API says of an account: whether conversions can be counted, and what became of uploads.

Sources: reference pages of ``ConversionTrackingSetting`` and ``OfflineConversionUploadConversionActionSummary`` (v26),
"Monitor uploads". Whether what comes by the Data Manager API is in these summaries, Google does not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from leadup.outgoing import Finding, Grade
from leadup_connectors.google_ads.ads.actions import UPLOADS, Action, Actions
from leadup_connectors.google_ads.ads.version import API_VERSION, sunset_warning
from leadup_connectors.google_ads.settings import GoogleAdsSettings

if TYPE_CHECKING:
    from leadup_connectors.google_ads.client.ads import GoogleAds

_SETTING: Final = "customer.conversion_tracking_setting"
_SUMMARY: Final = "offline_conversion_upload_conversion_action_summary"
_CLIENT: Final = "offline_conversion_upload_client_summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What Google counts of one day's uploads to one conversion action."""

    action: str
    """Its id."""
    day: date
    """In the account's time zone."""
    taken: int
    failed: int
    pending: int


def findings(connection: str, settings: GoogleAdsSettings, api: GoogleAds, today: date) -> list[Finding]:
    """Look at the account and its conversion actions. What can not be asked raises TryLater, NeedsHuman or Refused."""
    return [
        _version(today),
        *_account(settings, api),
        *_actions(settings, Actions(connection, settings, api)),
        *_uploads(api),
    ]


def counted(api: GoogleAds) -> list[Day]:
    """What Google counts of the last days' uploads, by action and day; only the last seven jobs and days are told."""
    fields = (f"{_SUMMARY}.conversion_action_id", f"{_SUMMARY}.daily_summaries")
    return [
        Day(
            action=str(row[fields[0]]),
            day=date.fromisoformat(str(one["upload_date"])),
            taken=int(one.get("successful_count", 0)),
            failed=int(one.get("failed_count", 0)),
            pending=int(one.get("pending_count", 0)),
        )
        for row in api.search(_SUMMARY, fields)
        for one in _messages(row[fields[1]])
    ]


# ---------------------------------------------------------------- one thing each


def _version(today: date) -> Finding:
    told, _, todo = sunset_warning(today).partition("\n  What to do: ")
    if not told:
        return Finding(name="api_version", grade=Grade.OK, text=f"the Google Ads API {API_VERSION} is spoken")
    return Finding(name="api_version", grade=Grade.WARNING, text=told, todo=todo)


def _account(settings: GoogleAdsSettings, api: GoogleAds) -> Iterator[Finding]:
    names = ("google_ads_conversion_customer", "accepted_customer_data_terms", "effective_enablement_setting")
    (row,) = api.search("customer", [f"{_SETTING}.{name}" for name in names])
    owner, terms, enhanced = (row[f"{_SETTING}.{name}"] for name in names)
    ours, owner = settings.operating_account, str(owner).rpartition("/")[2]
    if owner in ("", ours):
        yield Finding(name="owner", grade=Grade.OK, text=f"account {ours} owns its conversion actions itself")
    else:
        yield Finding(
            name="owner",
            grade=Grade.PROBLEM,
            text=f"account {owner} owns the conversion actions of {ours}",
            todo=f"set operating_account = '{owner}', or report conversions by a connection of its own",
        )
    # User data of conversions rests on both; without it a conversion goes by its click id alone.
    grade = Grade.PROBLEM if settings.user_data_with_conversions else Grade.OK
    for name, holds, text, todo in (
        (
            "data_terms",
            terms is True,
            "the customer data terms",
            "accept them in Google Ads (Goals > Settings > Customer data terms)",
        ),
        (
            "enhanced_conversions",
            enhanced == "ON",
            "enhanced conversions for leads",
            "turn them on in Google Ads (Goals > Settings)",
        ),
    ):
        said = "are accepted" if name == "data_terms" else "are on"
        if holds:
            yield Finding(name=name, grade=Grade.OK, text=f"{text} {said}")
        else:
            otherwise = ", or set user_data_with_conversions = false" if grade is Grade.PROBLEM else ""
            yield Finding(name=name, grade=grade, text=f"{text}: not so", todo=todo + otherwise)


def _actions(settings: GoogleAdsSettings, account: Actions) -> Iterator[Finding]:
    there = account.all()
    goals = account.goals()
    for name, wanted in settings.conversion_actions.items():
        title = wanted.name or f"leadup: {name}"
        found = next((one for one in there if (one.id == wanted.id if wanted.id else one.name == title)), None)
        key = f"action {name}"
        if found is not None:
            yield _action(key, found, settings, biddable=goals.get(found.goal, False))
        elif wanted.create:
            yield Finding(name=key, grade=Grade.OK, text="is made with its first conversion")
        else:
            which = f"the id {wanted.id}" if wanted.id else f"the name {title!r}"
            yield Finding(
                name=key,
                grade=Grade.PROBLEM,
                text=f"account {settings.operating_account} has no conversion action with {which}",
                todo="correct it under conversion_actions; `leadup google-ads actions` lists what there is",
            )


def _action(key: str, found: Action, settings: GoogleAdsSettings, *, biddable: bool) -> Finding:
    ours = settings.operating_account
    place = f"Google Ads (Goals > Conversions > {found.name})"
    problems = (
        (found.type != UPLOADS, f"its type is {found.type}", "name one of the type Import > from clicks"),
        (found.status != "ENABLED", f"it is {found.status.lower()}", f"enable it in {place}"),
        (found.owner not in ("", ours), f"account {found.owner} owns it", f"name an action of {ours}"),
        (
            found.always_default,
            "each conversion counts its own value, whatever is reported",
            f"choose 'use different values for each conversion' in {place}",
        ),
    )
    for wrong, text, todo in problems:
        if wrong:
            return Finding(name=key, grade=Grade.PROBLEM, text=f"{found.name}: {text}", todo=todo)
    if found.counting == "ONE_PER_CLICK":
        return Finding(
            name=key,
            grade=Grade.WARNING,
            text=f"{found.name} counts one conversion a click, and so takes none by gbraid or wbraid",
            todo=f"let it count every conversion in {place}; the transaction id keeps them single",
        )
    bids = "bid for" if found.primary and biddable else "not bid for"
    return Finding(name=key, grade=Grade.OK, text=f"{found.name} ({found.id}) takes conversions; it is {bids}")


def _uploads(api: GoogleAds) -> Iterator[Finding]:
    names = ("client", "status", "total_event_count", "successful_event_count", "pending_event_count", "alerts")
    for row in api.search(_CLIENT, [f"{_CLIENT}.{name}" for name in names]):
        client, status, total, good, pending, alerts = (row[f"{_CLIENT}.{name}"] for name in names)
        text = f"by {client}: {status}; {good} of {total} taken, {pending} pending"
        reasons = [_reason(alert) for alert in _messages(alerts)]
        well = status in ("EXCELLENT", "GOOD")
        yield Finding(
            name="uploads",
            grade=Grade.OK if well else Grade.WARNING,
            text=text + (f"; refused for {', '.join(reasons)}" if reasons else ""),
            todo="" if well else "look at what was rejected: `leadup status`",
        )


def _reason(alert: Mapping[str, Any]) -> str:
    """An alert's error by its name: ``{"error": {"conversion_upload_error": "EXPIRED_EVENT"}, …}``."""
    names = [str(name) for name in alert.get("error", {}).values()] or ["an unknown reason"]
    return f"{names[0]} ({alert.get('error_percentage', 0):.0%})"


def _messages(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
