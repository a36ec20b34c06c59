"""The account as rows of a query, by resource."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from google.ads.googleads.v26.services.types import google_ads_service as service

from leadup_connectors.google_ads.sandbox.account import Upload, UserList
from leadup_connectors.google_ads.sandbox.ads.actions import as_message
from leadup_connectors.google_ads.sandbox.ads.names import resource, set_enum

Days = tuple[date, date]
ROW: Final = service.GoogleAdsRow.pb()
_JOBS: Final = 7
"""How many jobs and days a summary tells of."""
_CLIENT: Final = "GOOGLE_ADS_API"
_KEY_TYPES: Final = {1: "CONTACT_INFO", 2: "MOBILE_ADVERTISING_ID", 3: "CRM_ID"}


def _customers(call: Any, _: Days) -> Iterator[Any]:
    account, row = call.account, _row(call)
    setting = row.customer.conversion_tracking_setting
    row.customer.currency_code, row.customer.time_zone = account.currency, account.time_zone
    row.customer.descriptive_name = "leadup sandbox"
    setting.accepted_customer_data_terms = account.data_terms
    owner = account.conversion_customer or call.customer
    setting.google_ads_conversion_customer = f"customers/{owner}"
    by_self = owner == call.customer
    tracked = "MANAGED_BY_SELF" if by_self else "MANAGED_BY_THIS_MANAGER"
    set_enum(setting, "conversion_tracking_status", f"CONVERSION_TRACKING_{tracked}")
    for field in ("enablement_setting", "effective_enablement_setting"):
        set_enum(setting, field, "ON" if account.enhanced_conversions else "OFF")
    yield row


def _actions(call: Any, days: Days) -> Iterator[Any]:
    for action in call.account.actions.values():
        row = _row(call)
        row.conversion_action.CopyFrom(as_message(call.account, action, call.customer))
        held = [one for one in call.account.conversions.get(action.id, {}).values() if one["count"]]
        held = [one for one in held if days[0] <= datetime.fromisoformat(one["at"]).date() <= days[1]]
        row.metrics.all_conversions = len(held)
        row.metrics.all_conversions_value = sum(
            action.default_value if action.always_default or one["value"] is None else one["value"] for one in held
        )
        yield row


def _goals(call: Any, _: Days) -> Iterator[Any]:
    for (category, origin), biddable in call.account.goals.items():
        row = _row(call)
        goal = row.customer_conversion_goal
        goal.resource_name = resource(call.customer, "customerConversionGoals", f"{category}~{origin}")
        goal.biddable = biddable
        set_enum(goal, "category", category)
        set_enum(goal, "origin", origin)
        yield row


def _campaigns(call: Any, _: Days) -> Iterator[Any]:
    for number, (name, level) in enumerate(call.account.campaigns.items(), 1):
        row = _row(call)
        config = row.conversion_goal_campaign_config
        config.resource_name = resource(call.customer, "conversionGoalCampaignConfigs", str(number))
        config.campaign = row.campaign.resource_name = resource(call.customer, "campaigns", str(number))
        row.campaign.id, row.campaign.name = number, name
        set_enum(row.campaign, "status", "ENABLED")
        set_enum(config, "goal_config_level", level)
        yield row


def _user_lists(call: Any, _: Days) -> Iterator[Any]:
    for key, found in call.account.lists.items():
        if found.account == call.customer:
            row = _row(call)
            _fill_list(row.user_list, key, found, call)
            yield row


def _client_summaries(call: Any, _: Days) -> Iterator[Any]:
    if call.account.uploads:
        row = _row(call)
        summary = row.offline_conversion_upload_client_summary
        summary.resource_name = resource(call.customer, "offlineConversionUploadClientSummaries", _CLIENT)
        _summarise(summary, call.account.uploads)
        summary.success_rate = summary.successful_event_count / max(summary.total_event_count, 1)
        yield row


def _action_summaries(call: Any, _: Days) -> Iterator[Any]:
    by_action: dict[str, list[Upload]] = defaultdict(list)
    for one in call.account.uploads:
        for action, part in one.by_action().items():
            by_action[action].append(part)
    for action, uploads in by_action.items():
        row = _row(call)
        summary = row.offline_conversion_upload_conversion_action_summary
        collection = "offlineConversionUploadConversionActionSummaries"
        summary.resource_name = resource(call.customer, collection, f"{action}~{_CLIENT}")
        summary.conversion_action_id = int(action)
        found = call.account.action(action)
        summary.conversion_action_name = found.name if found else ""
        _summarise(summary, uploads)
        yield row


RESOURCES: Final[Mapping[str, Callable[[Any, Days], Iterator[Any]]]] = {
    "customer": _customers,
    "conversion_action": _actions,
    "customer_conversion_goal": _goals,
    "conversion_goal_campaign_config": _campaigns,
    "user_list": _user_lists,
    "offline_conversion_upload_client_summary": _client_summaries,
    "offline_conversion_upload_conversion_action_summary": _action_summaries,
}


def _row(call: Any) -> Any:
    row = ROW()
    row.customer.resource_name, row.customer.id = f"customers/{call.customer}", int(call.customer)
    return row


def _fill_list(shown: Any, key: str, found: UserList, call: Any) -> None:
    message, size = found.message, call.account.size(found)
    shown.resource_name, shown.id = resource(call.customer, "userLists", key), int(key)
    shown.name, shown.description = message.display_name, message.description
    shown.membership_life_span = message.membership_duration.seconds // 86_400
    shown.size_for_display = shown.size_for_search = size
    shown.eligible_for_search = shown.eligible_for_display = True
    if size:
        shown.match_rate_percentage = call.account.match_rate
    set_enum(shown, "type_", "CRM_BASED")
    set_enum(shown, "membership_status", "OPEN" if message.membership_status == 1 else "CLOSED")
    for number in sorted(found.key_types & _KEY_TYPES.keys()):
        set_enum(shown.crm_based_user_list, "upload_key_type", _KEY_TYPES[number])


def _summarise(summary: Any, uploads: list[Upload]) -> None:
    set_enum(summary, "client", _CLIENT)
    summary.successful_event_count = sum(one.successful for one in uploads)
    failed = Counter(code for one in uploads for code in one.failed)
    summary.total_event_count = summary.successful_event_count + failed.total()
    summary.last_upload_date_time = f"{uploads[-1].at:%Y-%m-%d %H:%M:%S}"
    share = failed.total() / max(summary.total_event_count, 1)
    set_enum(summary, "status", "EXCELLENT" if not share else "GOOD" if share < 0.1 else "NEEDS_ATTENTION")
    days: dict[date, list[Upload]] = defaultdict(list)
    for one in uploads:
        days[one.at.date()].append(one)
    for day, some in list(days.items())[-_JOBS:]:
        summary.daily_summaries.add(
            upload_date=f"{day}",
            successful_count=sum(one.successful for one in some),
            failed_count=sum(len(one.failed) for one in some),
        )
    for one in uploads[-_JOBS:]:
        summary.job_summaries.add(job_id=one.job, successful_count=one.successful, failed_count=len(one.failed))
    for code, count in failed.most_common():
        alert = summary.alerts.add(error_percentage=count / summary.total_event_count)
        field, _, name = code.partition(".")
        if field in alert.error.DESCRIPTOR.fields_by_name:
            set_enum(alert.error, field, name)
