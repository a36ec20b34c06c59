"""Conversion actions and goals: ``ConversionActionService`` and ``CustomerConversionGoalService``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from google.ads.googleads.v26.resources.types.conversion_action import ConversionAction
from google.ads.googleads.v26.services.types import conversion_action_service as service
from google.ads.googleads.v26.services.types import customer_conversion_goal_service as goal_service

from leadup_connectors.google_ads.sandbox.account import Account, Action
from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong, partial
from leadup_connectors.google_ads.sandbox.ads.names import enum_name, key_of, resource, set_enum

COLLECTION: Final = "conversionActions"
_CREATABLE: Final = frozenset({"UPLOAD_CLICKS", "UPLOAD_CALLS", "WEBPAGE", "AD_CALL", "WEBSITE_CALL", "CLICK_TO_CALL"})
_IMMUTABLE: Final = frozenset({"type", "origin", "id", "owner_customer"})
_WINDOW: Final = range(1, 91)
_FIRST_ID: Final = 8_000_000_001
_MUTABLE_RESOURCE: Final = 2
"""Of ``ResponseContentType``."""

Path = tuple[tuple[str, int | None], ...]


def as_message(account: Account, action: Action, customer: str) -> Any:
    """Return an action as the API shows it."""
    owner = action.owner or customer
    made = ConversionAction.pb()(
        resource_name=resource(owner, COLLECTION, action.id),
        id=int(action.id),
        name=action.name,
        owner_customer=f"customers/{owner}",
        primary_for_goal=action.primary,
        include_in_conversions_metric=action.primary and account.goals.get((action.category, action.origin), True),
        click_through_lookback_window_days=action.lookback_days,
    )
    for field, name in (
        ("type_", action.type),
        ("status", action.status),
        ("category", action.category),
        ("origin", action.origin),
        ("counting_type", action.counting),
    ):
        set_enum(made, field, name)
    made.value_settings.default_value = action.default_value
    made.value_settings.default_currency_code = action.default_currency or account.currency
    made.value_settings.always_use_default_value = action.always_default
    return made


def mutate_actions(call: Any) -> Any:
    """Create, update and remove conversion actions, each operation for itself if ``partial_failure`` says so."""
    account, request, wrongs = call.account, call.message, []
    held, goals = dict(account.actions), dict(account.goals)
    answer = service.MutateConversionActionsResponse.pb()()
    for number, operation in enumerate(request.operations):
        result = answer.results.add()
        path: Path = (("operations", number),)
        found = list(_wrong_with(account, operation, path))
        if found:
            wrongs += found
            continue
        action = _mutated(account, operation, call.customer)
        result.resource_name = resource(call.customer, COLLECTION, action.id)
        if request.response_content_type == _MUTABLE_RESOURCE:
            result.conversion_action.CopyFrom(as_message(account, action, call.customer))
    if request.validate_only or (wrongs and not request.partial_failure):
        account.actions, account.goals = held, goals
    if wrongs and not request.partial_failure:
        raise Refused(400, *wrongs)
    if request.validate_only:
        del answer.results[:]
    if failure := partial(wrongs):
        answer.partial_failure_error.CopyFrom(failure)
    return answer


def mutate_goals(call: Any) -> Any:
    """Say which goals bidding uses; goals come and go with their actions."""
    answer, account = goal_service.MutateCustomerConversionGoalsResponse.pb()(), call.account
    changed: dict[tuple[str, str], bool] = {}
    for number, operation in enumerate(call.message.operations):
        path: Path = (("operations", number),)
        goal, wanted = operation.update, set(operation.update_mask.paths)
        category, _, origin = key_of(goal.resource_name, "customerConversionGoals").partition("~")
        if not wanted:
            raise Refused(400, Wrong("field_mask_error.FIELD_MASK_MISSING", (*path, ("update_mask", None))))
        if wanted != {"biddable"}:
            raise Refused(400, Wrong("field_error.IMMUTABLE_FIELD", (*path, ("update_mask", None))))
        if (category, origin) not in account.goals:
            raise Refused(400, Wrong("mutate_error.RESOURCE_NOT_FOUND", (*path, ("update", None))))
        changed[category, origin] = goal.biddable
        answer.results.add(resource_name=goal.resource_name)
    if call.message.validate_only:
        del answer.results[:]
    else:
        account.goals.update(changed)
    return answer


def _wrong_with(account: Account, operation: Any, path: Path) -> Iterator[Wrong]:
    kind = operation.WhichOneof("operation")
    if kind is None:
        yield Wrong("request_error.OPERATION_REQUIRED", path)
    elif kind == "create":
        yield from _wrong_with_new(account, operation.create, (*path, ("create", None)))
    else:
        name = operation.remove if kind == "remove" else operation.update.resource_name
        if key_of(name, COLLECTION) not in account.actions:
            yield Wrong("mutate_error.RESOURCE_NOT_FOUND", (*path, (kind, None)))
        elif kind == "update":
            yield from _wrong_with_update(account, operation, path)


def _wrong_with_new(account: Account, new: Any, path: Path) -> Iterator[Wrong]:
    if not new.name:
        yield Wrong("field_error.REQUIRED", (*path, ("name", None)))
    if any(one.name == new.name for one in account.actions.values() if one.status != "REMOVED"):
        yield Wrong("conversion_action_error.DUPLICATE_NAME", (*path, ("name", None)))
    if not new.type_:
        yield Wrong("field_error.REQUIRED", (*path, ("type", None)))
    elif enum_name(new, "type_") not in _CREATABLE:
        yield Wrong("conversion_action_error.CREATION_NOT_SUPPORTED", (*path, ("type", None)))
    yield from _wrong_window(new, path)


def _wrong_with_update(account: Account, operation: Any, path: Path) -> Iterator[Wrong]:
    wanted = {part.partition(".")[0] for part in operation.update_mask.paths}
    new, place = operation.update, (*path, ("update", None))
    if not wanted:
        yield Wrong("field_mask_error.FIELD_MASK_MISSING", (*path, ("update_mask", None)))
    for part in sorted(wanted & _IMMUTABLE):
        yield Wrong("field_error.IMMUTABLE_FIELD", (*place, (part, None)))
    others = (one for one in account.actions.values() if one.id != key_of(new.resource_name, COLLECTION))
    if "name" in wanted and any(one.name == new.name and one.status != "REMOVED" for one in others):
        yield Wrong("conversion_action_error.DUPLICATE_NAME", (*place, ("name", None)))
    if "click_through_lookback_window_days" in wanted:
        yield from _wrong_window(new, place)


def _wrong_window(new: Any, path: Path) -> Iterator[Wrong]:
    days = new.click_through_lookback_window_days
    if new.HasField("click_through_lookback_window_days") and days not in _WINDOW:
        code = "TOO_LOW" if days < _WINDOW.start else "TOO_HIGH"
        yield Wrong(f"range_error.{code}", (*path, ("click_through_lookback_window_days", None)))


def _mutated(account: Account, operation: Any, customer: str) -> Action:
    kind = operation.WhichOneof("operation")
    if kind == "create":
        used = max((int(key) for key in account.actions if key.isdigit()), default=0)
        blank = Action(id=str(max(used + 1, _FIRST_ID)), owner=customer, created=account.now())
        message = as_message(account, blank, customer)
        message.MergeFrom(operation.create)
        # An action is made primary and can be made secondary by an update only (reference page of ConversionAction).
        action = replace(_taken(blank, message), primary=True)
    elif kind == "update":
        found = account.actions[key_of(operation.update.resource_name, COLLECTION)]
        message = as_message(account, found, customer)
        operation.update_mask.MergeMessage(operation.update, message, replace_message_field=True)
        action = _taken(found, message)
    else:
        action = replace(account.actions[key_of(operation.remove, COLLECTION)], status="REMOVED")
    account.add_action(action)
    return action


def _taken(action: Action, message: Any) -> Action:
    """The action with what a message says of it."""
    settings = message.value_settings
    return replace(
        action,
        name=message.name,
        type=enum_name(message, "type_"),
        status=enum_name(message, "status"),
        category=enum_name(message, "category"),
        counting=enum_name(message, "counting_type"),
        primary=message.primary_for_goal,
        lookback_days=message.click_through_lookback_window_days,
        default_value=settings.default_value,
        default_currency=settings.default_currency_code,
        always_default=settings.always_use_default_value,
    )
