"""What ``leadup doctor`` tells of a Google Ads connection. It changes nothing at Google.

Whether an account takes conversions is asked by a conversion that is validated and not kept (``validate_only``, Data
Manager API); types, owners and terms are told in full by the Google Ads API, if its package is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater
from leadup.kit import Checkup
from leadup.outgoing import Address, Convert, Finding, Grade, RemoteId, Target, Use
from leadup.types import Purpose
from leadup_connectors.google_ads import connector, identifiers
from leadup_connectors.google_ads.ads import connect, preflight
from leadup_connectors.google_ads.ads.version import sunset_warning
from leadup_connectors.google_ads.client.data_manager import DataManager, UserList
from leadup_connectors.google_ads.client.time import server_time
from leadup_connectors.google_ads.errors import Denied, Limited
from leadup_connectors.google_ads.settings import GoogleAdsSettings

PER_DAY: Final = 100_000
"""Writes that a Cloud project may send in a day ("Limits and quotas")."""
NOTABLE: Final = timedelta(minutes=1)
WRONG: Final = timedelta(minutes=5)
"""A clock so far off gets no token: the one it signs with is not valid yet, or no more."""
_NOBODY: Final = "0" * 64
"""Stands where the hash of an address does; no address is known to have it."""
_KEY_TYPE: Final = {"contact": "CONTACT_ID", "user_id": "USER_ID"}
_BY_CODE: Final = {
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "scope",
    "SERVICE_DISABLED": "api_enabled",
    "TERMS_AND_CONDITIONS_NOT_SIGNED": "terms",
    "ADVERTISER_TOS_NOT_ACCEPTED": "terms",
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED": "data_terms",
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": "enhanced_conversions",
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": "enhanced_conversions",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": "eu_political_ads",
}
"""What a refusal is about, whatever was asked."""
_PASSES: Final = "nothing if it passes, since it is tried again; else look what else uses this Cloud project"
_CHECK: Final = (
    "check operating_account, login_account and base_url of this connection, and what Google's reference says of it"
)
_NOT_ASKED: Final = "for this the account has to be asked, which was not possible"


def examine(checkup: Checkup) -> Iterator[Finding]:
    """Look at a connection: accounts, clock, credentials, access, quota, terms, actions, lists, the Google Ads API."""
    settings: GoogleAdsSettings = checkup.settings
    api = DataManager(settings)
    yield _accounts(settings)
    yield _clock(checkup, settings)
    access = list(_access(api))
    yield from access
    yield _quota(checkup, access)
    yield from _terms(checkup, settings)
    if any(one.grade is Grade.PROBLEM for one in access):
        yield _found("targets", Grade.UNKNOWN, f"conversion actions and lists: {_NOT_ASKED}")
        return
    for target, remote_id in checkup.targets:
        if target.use is Use.CONVERSION:
            yield _action(api, checkup, target, remote_id)
        elif target.use is Use.AUDIENCE and remote_id is not None:
            yield _list(api, settings, target, remote_id)
    yield from _ads_api(checkup, settings)


def _found(name: str, grade: Grade, text: str, todo: str = "") -> Finding:
    return Finding(name=name, grade=grade, text=text, todo=todo)


def _said(name: str, error: LeadupError, grade: Grade = Grade.PROBLEM) -> Finding:
    """An error as a finding: its first line, and what to do."""
    text, _, todo = str(error).partition("\n  What to do: ")
    passes = isinstance(error, TryLater)
    return _found(name, grade, text, todo or (_PASSES if passes else _CHECK))


def _accounts(settings: GoogleAdsSettings) -> Finding:
    by = f", by way of manager account {settings.login_account}" if settings.login_account else ""
    text = f"account {settings.operating_account}{by}"
    if settings.is_local:
        return _found("accounts", Grade.OK, f"{text}, of the emulator at {settings.base_url}: Google is not asked")
    if settings.login_account == settings.operating_account:
        return _found(
            "accounts", Grade.OK, f"{text}, which is the same: login_account can be left out", "leave out login_account"
        )
    return _found("accounts", Grade.OK, text)


def _clock(checkup: Checkup, settings: GoogleAdsSettings) -> Finding:
    try:
        there = server_time(settings.base_url, settings.timeout)
    except TryLater as error:
        return _found("clock_there", Grade.UNKNOWN, f"this machine's could not be compared with Google's: {error}")
    off = checkup.now - there
    if abs(off) < NOTABLE:
        return _found("clock_there", Grade.OK, "this machine's is right, by Google's")
    way = "ahead of" if off > timedelta(0) else "behind"
    text = f"this machine's is {timedelta(seconds=abs(round(off.total_seconds())))} {way} Google's"
    if abs(off) < WRONG:
        return _found("clock_there", Grade.WARNING, text, "let this machine's clock be set by NTP")
    why = "; tokens are refused, and conversions come to Google with wrong times"
    return _found(
        "clock_there", Grade.PROBLEM, text + why, "let this machine's clock be set by NTP (or unset LEADUP_NOW)"
    )


def _access(api: DataManager) -> Iterator[Finding]:
    """Read one list: needs credentials, their scope, the API, and access to the account."""
    try:
        api.check()
    except Limited as error:
        yield _said("quota", error, Grade.WARNING)
    except Denied as error:
        otherwise = "credentials" if error.status == 401 else "access"
        yield _said(_BY_CODE.get(error.code, otherwise), error)
    except NeedsHuman as error:
        yield _said("credentials", error)
    except TryLater as error:
        text, _, todo = str(error).partition("\n  What to do: ")
        yield _found(
            "network",
            Grade.PROBLEM,
            f"{text}. Until it answers nothing is sent; what is due waits, and nothing is lost",
            todo or "check the network and any proxy",
        )
    except Refused as error:
        yield _said("access", error)
    else:
        yield _found("access", Grade.OK, "credentials and scope are taken, and the account answers")


def _quota(checkup: Checkup, access: list[Finding]) -> Finding:
    text = f"{checkup.batches} batches were taken in 24 hours; a Cloud project may send {PER_DAY} requests a day"
    if any(one.name == "quota" for one in access):
        return _found("requests", Grade.WARNING, text, "look what else uses this Cloud project")
    grade = Grade.WARNING if checkup.batches > PER_DAY // 2 else Grade.OK
    return _found(
        "requests", grade, text, "" if grade is Grade.OK else "ask Google for more quota in the Cloud console"
    )


def _terms(checkup: Checkup, settings: GoogleAdsSettings) -> Iterator[Finding]:
    wanted = any(target.use is Use.AUDIENCE for target, _ in checkup.targets)
    if wanted and settings.key == "contact":
        if settings.terms_accepted:
            yield _found("terms", Grade.OK, "terms_accepted says that the Customer Match terms are accepted")
        else:
            yield _found(
                "terms",
                Grade.PROBLEM,
                "the Customer Match terms are not accepted, so nobody is added to a list",
                "accept them in Google Ads (Tools > Data manager) and set terms_accepted = true",
            )


def _action(api: DataManager, checkup: Checkup, target: Target, remote_id: str | None) -> Finding:
    """Whether the conversion action takes a conversion now."""
    settings: GoogleAdsSettings = checkup.settings
    name, said = f"reporting {target.name}", settings.conversion_actions.get(target.name)
    if said is None:
        return _found(
            name,
            Grade.PROBLEM,
            "no conversion action is set for it, so it is not reported",
            f'add {target.name} = "ACTION_ID" under conversion_actions of this connection',
        )
    action_id = said.id or remote_id
    if not action_id:
        return _found(name, Grade.OK, "its action is found or made with the first conversion")
    try:
        api.ingest_events(action_id, [_attempt(checkup, settings)], try_only=True)
    except Denied as error:
        return _said(_BY_CODE.get(error.code, name), error)
    except TryLater as error:
        return _said(name, error, Grade.WARNING)
    except (NeedsHuman, Refused) as error:
        return _said(name, error)
    return _found(name, Grade.OK, f"Google would take a conversion for action {action_id}")


def _attempt(checkup: Checkup, settings: GoogleAdsSettings) -> Convert:
    """A conversion of nobody, that is only ever validated."""
    by_contact = settings.user_data_with_conversions
    return Convert(
        key="doctor",
        person=0,
        to=Address((RemoteId(identifiers.EMAIL, _NOBODY),) if by_contact else ()),
        consent=dict.fromkeys((Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION), False),
        transaction_id="leadup-doctor",
        at=checkup.now,
        value=None,
        click_ids={} if by_contact else {"gclid": "leadup-doctor"},
    )


def _list(api: DataManager, settings: GoogleAdsSettings, target: Target, remote_id: str) -> Finding:
    name = f"list {target.name}"
    try:
        found = api.user_list(remote_id)
    except TryLater as error:
        return _said(name, error, Grade.UNKNOWN)
    except LeadupError as error:
        return _said(name, error)
    if found is None:
        return _found(
            name,
            Grade.PROBLEM,
            f"account {settings.operating_account} has no list {remote_id}: it was removed there, or is another's",
            "look whether the list was removed in Google Ads (Tools > Audience manager); `leadup sync` finds or makes "
            "it again by its name",
        )
    if fault := _unusable(found, settings):
        return _found(name, Grade.PROBLEM, *fault)
    rate = f", {found.match_rate} % of those sent are known" if found.match_rate is not None else ""
    if not found.members:
        return _found(name, Grade.OK, f"takes members; Google does not say how many there are{rate}")
    network, least = min(found.members.items(), key=lambda one: one[1])
    text = f"takes members; {max(found.members.values())} there, {least} on {network}{rate}"
    if least < connector.serves_from:
        return _found(
            name,
            Grade.WARNING,
            f"{text}; ads are served to {connector.serves_from} and more, on each network",
            "widen the segment, or bring e-mail addresses and phones of more of its members",
        )
    return _found(name, Grade.OK, text)


def _unusable(found: UserList, settings: GoogleAdsSettings) -> tuple[str, str] | None:
    wanted = _KEY_TYPE[settings.key]
    if wanted not in found.key_types:
        kinds = ", ".join(sorted(found.key_types)) or "something else"
        return f"is keyed by {kinds}, not by {wanted}", "give the audience another name in the rules"
    if found.read_only or not found.is_open:
        what = "is read-only" if found.read_only else "is closed"
        return f"{what}, and takes no members", "open the list in Google Ads (Tools > Audience manager)"
    return None


# ---------------------------------------------------------------- the Google Ads API


def _ads_api(checkup: Checkup, settings: GoogleAdsSettings) -> Iterator[Finding]:
    """What only the Google Ads API tells; where it is not needed, its absence is no problem."""
    grade = Grade.PROBLEM if settings.needs_ads_api else Grade.UNKNOWN
    name = "google_ads_api"
    if settings.is_local and not settings.ads_is_local:
        yield _found(name, Grade.UNKNOWN, "base_url is an emulator's and ads_url is Google's, which is not asked then")
        return
    try:
        api = connect(checkup.connection, settings)
        yield from preflight.findings(checkup.connection, settings, api, checkup.now.date())
    except (NeedsHuman, TryLater, Refused) as error:
        text, _, todo = str(error).partition("\n  What to do: ")
        what = "owner and type of conversion actions, terms and uploads could not be looked at"
        yield _found(name, grade, f"{what}: {text}", todo)
        if warning := sunset_warning(checkup.now.date()):
            told, _, todo = warning.partition("\n  What to do: ")
            yield _found("api_version", Grade.WARNING, told, todo)
