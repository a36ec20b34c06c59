"""What ``leadup doctor`` tells of a HubSpot connection. It changes nothing at HubSpot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from leadup.errors import BudgetSpent, LeadupError, TryLater
from leadup.kit import Checkup
from leadup.outgoing import Finding, Found, Grade, Target, Use
from leadup_connectors.hubspot.answers import Account, Denied, ListInfo
from leadup_connectors.hubspot.audiences import RESTORABLE, Audiences, static_again
from leadup_connectors.hubspot.client import HubSpotClient, rights
from leadup_connectors.hubspot.client.routes import SUPPORTED_UNTIL
from leadup_connectors.hubspot.findings import TOMORROW, graded, of_error
from leadup_connectors.hubspot.people import MARKETING
from leadup_connectors.hubspot.properties import unfit
from leadup_connectors.hubspot.reading.bridge import bridge
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings
from leadup_connectors.hubspot.source import SCOPES, HubSpotSource

NOTICE: Final = timedelta(days=183)
"""How long before a version of the API becomes unsupported that is worth a warning."""
NO_MATTER: Final = timedelta(seconds=30)
"""How much two clocks may differ before that is worth a warning."""
NOT_LIVE: Final = {
    "SANDBOX": "a sandbox",
    "DEVELOPER_TEST": "a developer's test account",
    "APP_DEVELOPER": "an app developer's account",
}
"""Types of account that are not a company's own."""
TIERS: Final = {
    250_000: "Free or Starter",
    625_000: "Professional",
    650_000: "Professional",
    1_000_000: "Enterprise",
}
"""By calls a day (source: changelog, "Increasing our API limits"; API usage guidelines)."""
_FOR: Final[Mapping[Use, Mapping[str, str]]] = {
    Use.AUDIENCE: {
        rights.LISTS_READ: "no list is found",
        rights.LISTS_WRITE: "no list is made, and nobody joins or leaves one",
        rights.CONTACTS_READ: "nobody is found",
    },
    Use.PROPERTY: {
        rights.CONTACTS_READ: "nobody is found",
        rights.CONTACTS_WRITE: "no property is written",
    },
    Use.CONVERSION: {
        rights.CONTACTS_READ: "nobody is found",
        rights.EVENTS_SEND: "no custom event is sent, which takes an Enterprise subscription as well",
        rights.EVENTS_DEFINE: "no custom event is defined, which takes an Enterprise subscription as well",
    },
}
"""By use, the scopes without which it does not work, and what does not."""
_BESIDES: Final[Mapping[Use, Mapping[str, str]]] = {
    Use.AUDIENCE: {rights.CONTACTS_WRITE: "some accounts ask for it to change lists"},
    Use.PROPERTY: {rights.SCHEMAS_WRITE: "a property that is not there is not made"},
}
"""By use, the scopes without which it may work."""
_NOT_ASKED: Final = "for this the account has to be asked, which was not possible"


def examine(checkup: Checkup) -> Iterator[Finding]:
    """Look at a connection: version of the API, token, account, scopes, the property to match on, lists, properties."""
    settings: HubSpotSettings = checkup.settings
    client = HubSpotClient(checkup.connection, settings)
    yield _api_version(settings.api, checkup.now.date())
    try:
        account = client.account()
    except LeadupError as error:
        yield of_error(_about(error), error)
        yield graded("targets", Grade.UNKNOWN, f"scopes, lists and properties: {_NOT_ASKED}")
        return
    yield graded("token", Grade.OK, "HubSpot takes it")
    yield _account(account, settings)
    if (ahead := checkup.now - client.earlier(checkup.now)) > NO_MATTER:
        seconds = ahead // timedelta(seconds=1)
        text = f"the clock here is {seconds:,} seconds ahead of HubSpot's: what is read is read up to HubSpot's"
        yield graded("clock", Grade.WARNING, text, "let a time service (NTP) set the clock of this machine")
    yield _limits(client, settings)
    lacks: set[str] = set()
    for scope, without in _scopes(checkup, settings).items():
        finding, has = _scope(client, scope, *without)
        yield finding
        if not has:
            lacks.add(scope)
    if rights.CONTACTS_READ not in lacks:
        yield _match(client, settings)
        for target, remote_id in _targets(checkup, Use.PROPERTY):
            yield _property(client, target, remote_id, makes=rights.SCHEMAS_WRITE not in lacks)
    if not lacks & {rights.EVENTS_DEFINE, rights.EVENTS_SEND}:
        for target, remote_id in _targets(checkup, Use.CONVERSION):
            yield _event(client, target, remote_id)
    if settings.create_missing:
        yield graded("create_missing", Grade.WARNING, MARKETING, "see there; or set create_missing = false")
    if settings.read:
        yield from _reading(checkup.connection, settings, client)
    if rights.LISTS_READ not in lacks:
        yield from _lists(client, checkup)


def _about(error: LeadupError) -> str:
    if isinstance(error, Denied):
        return "token"
    if isinstance(error, BudgetSpent):
        return "limits"
    return "network" if isinstance(error, TryLater) else "account"


def _targets(checkup: Checkup, use: Use) -> list[tuple[Target, str | None]]:
    return [(target, remote_id) for target, remote_id in checkup.targets if target.use is use]


# ---------------------------------------------------------------- the account


def _api_version(api: str, today: date) -> Finding:
    until = SUPPORTED_UNTIL[api]
    todo = "install the newest leadup (pip install --upgrade leadup), and set api to the newest version that it offers"
    if today >= until:
        text = f"{api}, which HubSpot has not supported since {until:%B %Y}: what breaks there stays broken"
        return graded("api_version", Grade.WARNING, text, todo)
    text = f"{api}, which HubSpot supports until {until:%B %Y}"
    if today >= until - NOTICE:
        return graded("api_version", Grade.WARNING, text, todo)
    return graded("api_version", Grade.OK, text)


def _account(account: Account, settings: HubSpotSettings) -> Finding:
    what = f", {NOT_LIVE[account.kind]}" if account.kind in NOT_LIVE else ""
    text = f"account {account.portal}{what}; time zone {account.zone}, currency {account.currency}"
    if settings.portal_id is None:
        todo = f"set portal_id = {account.portal}, so that no other account is ever written to"
        return graded("account", Grade.OK, text, todo)
    if settings.portal_id != account.portal:
        return graded(
            "account",
            Grade.PROBLEM,
            f"the token is of {text}; portal_id is {settings.portal_id}, so nothing is sent",
            f"use a token of account {settings.portal_id}, or set portal_id = {account.portal}",
        )
    return graded("account", Grade.OK, text)


def _limits(client: HubSpotClient, settings: HubSpotSettings) -> Finding:
    """What HubSpot's answers tell of limits."""
    burst, interval = client.burst()
    at_once = f"{burst} calls in {interval.total_seconds():g} s" if burst else "how many calls in 10 s is not told"
    budget = client.budget()
    if budget is None:
        return graded("limits", Grade.OK, f"{at_once}; how many a day is not told, as it is for OAuth apps")
    of, tier = ("", "") if budget.limit is None else (f" of {budget.limit:,}", _tier(budget.limit))
    text = f"{at_once}; {budget.left:,}{of} calls are left today{tier}, until midnight in {budget.zone}"
    if budget.limit is not None and budget.left <= settings.daily_reserve * budget.limit:
        share = f"{settings.daily_reserve:.0%}"
        return graded("limits", Grade.WARNING, f"{text}; leadup leaves the last {share} to other apps", TOMORROW)
    return graded("limits", Grade.OK, text)


def _tier(daily: int) -> str:
    """Which of HubSpot's tiers has so many calls a day, as far as that is known."""
    return f" (as {TIERS[daily]} has them)" if daily in TIERS else ""


def _scopes(checkup: Checkup, settings: HubSpotSettings) -> dict[str, tuple[Grade, str]]:
    """The scopes that what is sent and read asks for, each with how bad it is to lack it, and what does not work."""
    uses = {target.use for target, _ in checkup.targets}
    asked = [(scope, Grade.PROBLEM, f"{what} are not read") for what in settings.read for scope in SCOPES[what]]
    if settings.create_missing and Use.AUDIENCE in uses:
        asked.append((rights.CONTACTS_WRITE, Grade.PROBLEM, "no contact is created"))
    for grade, table in ((Grade.PROBLEM, _FOR), (Grade.WARNING, _BESIDES)):
        for use in sorted(uses & table.keys()):
            asked += [(scope, grade, without) for scope, without in table[use].items()]
    found: dict[str, tuple[Grade, list[str]]] = {}
    for scope, grade, without in asked:
        worst, lost = found.setdefault(scope, (grade, []))
        if worst is grade and without not in lost:
            lost.append(without)
    return {scope: (grade, "; ".join(lost)) for scope, (grade, lost) in found.items()}


def _scope(client: HubSpotClient, scope: str, grade: Grade, without: str) -> tuple[Finding, bool]:
    """Whether the token has a scope; where that is not to be known, it is taken to have it."""
    name = f"scope {scope}"
    try:
        has = client.rights.has(scope)
    except LeadupError as error:
        return of_error(name, error), True
    if has:
        return graded(name, Grade.OK, "given"), True
    todo = f"give the token's service key or private app the scope {scope} (HubSpot: Settings > Integrations)"
    return graded(name, grade, f"missing: {without}", todo), False


# ---------------------------------------------------------------- properties


def _match(client: HubSpotClient, settings: HubSpotSettings) -> Finding:
    name = f"match {settings.match}"
    try:
        found = client.properties.find(settings.match)
    except LeadupError as error:
        return of_error(name, error)
    if found is not None and (found.unique or settings.match == EMAIL):
        return graded(name, Grade.OK, "contacts are found by it")
    fault = "there is no such contact property" if found is None else "several contacts may share a value of it"
    return graded(
        name,
        Grade.PROBLEM,
        f"{fault}, so nobody is found",
        "set match to a contact property that requires unique values, or leave it out to match on e-mail",
    )


def _property(client: HubSpotClient, target: Target, remote_id: str | None, *, makes: bool) -> Finding:
    name = f"property {target.name}"
    try:
        found = client.properties.find(target.name)
    except LeadupError as error:
        return of_error(name, error)
    if found is None and makes and remote_id is not None:
        todo = (
            f"restore it in HubSpot; or `leadup reconcile {target.connection} --repair` makes it and writes all values"
        )
        return graded(name, Grade.WARNING, "is gone: somebody deleted it, with what was written there", todo)
    if found is None and makes:
        return graded(name, Grade.OK, "is made with the first value")
    if found is None:
        todo = f"give the token the scope {rights.SCHEMAS_WRITE}, or make the property in HubSpot"
        return graded(name, Grade.PROBLEM, "is not there, and the token may not make it", todo)
    if fault := unfit(found, target):
        return graded(name, Grade.PROBLEM, *fault)
    return graded(name, Grade.OK, f"is there, of type {found.type}")


def _event(client: HubSpotClient, target: Target, remote_id: str | None) -> Finding:
    name = f"event {target.name}"
    if remote_id is None:
        return graded(name, Grade.OK, "is defined with the first conversion")
    try:
        found = client.events.find(remote_id)
    except LeadupError as error:
        return of_error(name, error)
    if found is None:
        return graded(name, Grade.OK, f"{remote_id} is not defined any more, and will be with the next conversion")
    return graded(name, Grade.OK, f"is defined as {found.full_name}")


def _reading(connection: str, settings: HubSpotSettings, client: HubSpotClient) -> Iterator[Finding]:
    """Whether what is to be read can be, what is named of it is there, and forms tell the browser."""
    try:
        HubSpotSource(connection, settings, Path()).check()
        yield graded("reading", Grade.OK, f"{', '.join(settings.read)} can be read")
        if "forms" in settings.read:
            yield bridge(connection, settings, client)
    except LeadupError as error:
        yield of_error("reading", error)


# ---------------------------------------------------------------- lists


def _lists(client: HubSpotClient, checkup: Checkup) -> Iterator[Finding]:
    settings: HubSpotSettings = checkup.settings
    audiences = dict(_targets(checkup, Use.AUDIENCE))
    try:
        known = client.lists.described([remote_id for remote_id in audiences.values() if remote_id is not None])
    except LeadupError as error:
        yield of_error("lists", error)
        return
    if unknown := sorted(settings.lists.keys() - {target.name for target in audiences}):
        yield graded(
            "lists",
            Grade.WARNING,
            f"the setting lists names {', '.join(unknown)}, which no rule sends there: it does nothing",
            f"write names of segments there ({', '.join(sorted(one.name for one in audiences)) or 'none yet'})",
        )
    if audiences:
        yield _folder(client, settings.folder, known)
    for target, remote_id in audiences.items():
        name = f"list {target.name}"
        try:
            if remote_id is None:
                found = Audiences(checkup.connection, settings, client).look(target)
                holder = next((other.name for other, its in audiences.items() if found and its == found.id), "")
                yield _new_list(name, target, found, holder)
            else:
                yield _list(name, target, remote_id, known.get(remote_id) or client.lists.get(remote_id))
        except LeadupError as error:
            yield of_error(name, error)


def _folder(client: HubSpotClient, folder: str, known: Mapping[str, ListInfo]) -> Finding:
    if not folder:
        return graded("folder", Grade.OK, "lists are put into none, as folder says")
    try:
        there = folder in {name for _, name in client.lists.folders()}
    except LeadupError as error:
        return of_error("folder", error)
    if not there:
        return graded("folder", Grade.OK, f"{folder!r} is made with the next list")
    elsewhere = sorted(one.name for one in known.values() if one.folder and one.folder != folder)
    moved = f"; elsewhere, and used there all the same: {', '.join(elsewhere)}" if elsewhere else ""
    inside = sum(one.folder == folder for one in known.values())
    return graded("folder", Grade.OK, f"{folder!r} is there, with {inside} of our {len(known)} lists{moved}")


def _new_list(name: str, target: Target, found: Found | None, holder: str) -> Finding:
    if found is None:
        return graded(name, Grade.OK, f"{target.remote_name!r} is made with the first member")
    if holder:
        text = f"{found} is there, and the audience {holder!r} is kept in it: nothing else is sent there"
        return graded(
            name, Grade.PROBLEM, text, "give one of the two another name, or another list in the setting lists"
        )
    if not found.members:
        return graded(name, Grade.OK, f"{found} is there, and taken as it is")
    return graded(
        name,
        Grade.WARNING,
        f"{found} is there, and leadup did not make it: nothing is sent there before somebody says so",
        f"if it is the right one, `leadup sync {target.key} --accept adopt`; else give the audience another name",
    )


def _list(name: str, target: Target, remote_id: str, found: ListInfo | None) -> Finding:
    if found is None:
        return graded(
            name,
            Grade.PROBLEM,
            f"list {remote_id} ({target.remote_name!r}) is gone: somebody deleted it",
            f"{RESTORABLE}; or have a new one made: `leadup sync {target.key} --accept recreate`",
        )
    size = "" if found.size is None else f", {found.size:,} members"
    text = f"{found.name!r} (id {found.id}{size}{f', folder {found.folder}' if found.folder else ''})"
    if found.unfit:
        return graded(name, Grade.PROBLEM, f"{text} is {found.unfit}", static_again(target.key))
    renamed = f"; somebody renamed it from {target.remote_name!r}, and it is used all the same"
    uses = f"; used in {found.references} places (workflows, e-mails, ads)" if found.references else ""
    return graded(name, Grade.OK, f"{text} takes members{uses}{renamed if found.name != target.remote_name else ''}")
