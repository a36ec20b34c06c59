"""The emulated Google Ads API makes and changes conversion actions and goals, and answers queries about them.

Asked by an unmodified ``GoogleAdsClient`` over TLS.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.protobuf.field_mask_pb2 import FieldMask
from google_ads_kit import ACTION, ACTION_NAME, CUSTOMER, by_row, filled, refusal, search

from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def mutate(client: GoogleAdsClient, *operations: Any, **how: Any) -> Any:
    request = client.get_type("MutateConversionActionsRequest")
    request.customer_id = CUSTOMER
    request.operations.extend(operations)
    return client.get_service("ConversionActionService").mutate_conversion_actions(filled(request, how))


def create(client: GoogleAdsClient, **values: Any) -> Any:
    operation = client.get_type("ConversionActionOperation")
    kind = client.enums.ConversionActionTypeEnum.UPLOAD_CLICKS
    filled(operation.create, {"name": "demo", "type_": kind, **values})
    return operation


def update(client: GoogleAdsClient, resource: str, paths: list[str] | None = None, /, **values: Any) -> Any:
    operation = client.get_type("ConversionActionOperation")
    filled(operation.update, {"resource_name": resource, **values})
    operation.update_mask.CopyFrom(FieldMask(paths=list(values) if paths is None else paths))
    return operation


def test_an_action_is_made_and_found(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.set_clock(NOW)
    made = mutate(
        client,
        create(
            client,
            category=client.enums.ConversionActionCategoryEnum.QUALIFIED_LEAD,
            counting_type=client.enums.ConversionActionCountingTypeEnum.ONE_PER_CLICK,
            click_through_lookback_window_days=60,
            value_settings={"default_value": 4.5, "default_currency_code": "USD", "always_use_default_value": True},
        ),
    )
    (name,) = (result.resource_name for result in made.results)
    (row,) = search(
        client,
        "SELECT conversion_action.id, conversion_action.name, conversion_action.type, conversion_action.status, "
        "conversion_action.category, conversion_action.counting_type, conversion_action.primary_for_goal, "
        "conversion_action.click_through_lookback_window_days, conversion_action.owner_customer, "
        "conversion_action.value_settings.default_value, conversion_action.value_settings.always_use_default_value "
        "FROM conversion_action WHERE conversion_action.name = 'demo' AND conversion_action.status = 'ENABLED'",
    )
    found = row.conversion_action
    assert found.resource_name == name == f"customers/{CUSTOMER}/conversionActions/{found.id}"
    assert (found.name, found.owner_customer) == ("demo", f"customers/{CUSTOMER}")
    assert found.type_ == client.enums.ConversionActionTypeEnum.UPLOAD_CLICKS
    assert found.counting_type == client.enums.ConversionActionCountingTypeEnum.ONE_PER_CLICK
    assert found.click_through_lookback_window_days == 60
    assert (found.value_settings.default_value, found.value_settings.always_use_default_value) == (4.5, True)
    assert found.value_settings.default_currency_code == "", "not asked for"
    held = sandbox.account.actions[str(found.id)]
    assert (held.default_currency, held.created, held.owner) == ("USD", NOW, CUSTOMER)


def test_an_action_is_secondary_by_an_update_only(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    (result,) = mutate(client, create(client, primary_for_goal=False)).results
    (action,) = sandbox.account.actions.values()
    assert action.primary
    mutate(client, update(client, result.resource_name, primary_for_goal=False))
    (action,) = sandbox.account.actions.values()
    assert (action.primary, action.name) == (False, "demo")


def test_an_action_is_renamed_and_removed(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.seed({"actions": {ACTION: {"name": "old"}}})
    mutable = client.enums.ResponseContentTypeEnum.MUTABLE_RESOURCE
    (result,) = mutate(client, update(client, ACTION_NAME, name="new"), response_content_type=mutable).results
    assert result.conversion_action.name == "new"
    operation = client.get_type("ConversionActionOperation")
    operation.remove = ACTION_NAME
    mutate(client, operation)
    assert (
        search(client, "SELECT conversion_action.id FROM conversion_action WHERE conversion_action.status != 'REMOVED'")
        == []
    )
    assert sandbox.account.action(ACTION) is None


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"name": ""}, "field_error.REQUIRED"),
        ({"name": "taken"}, "conversion_action_error.DUPLICATE_NAME"),
        ({"type_": 0}, "field_error.REQUIRED"),
        ({"type_": 23}, "conversion_action_error.CREATION_NOT_SUPPORTED"),
        ({"click_through_lookback_window_days": 91}, "range_error.TOO_HIGH"),
        ({"click_through_lookback_window_days": 0}, "range_error.TOO_LOW"),
    ],
)
def test_a_bad_action_is_refused(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, values: dict[str, Any], code: str
) -> None:
    sandbox.seed({"actions": {ACTION: {"name": "taken"}}})
    with pytest.raises(GoogleAdsException) as raised:
        mutate(client, create(client, name="good"), create(client, **values))
    assert refusal(raised.value) == ("INVALID_ARGUMENT", [code])
    assert raised.value.failure.errors[0].location.field_path_elements[0].index == 1
    assert raised.value.request_id == raised.value.failure.request_id
    assert set(sandbox.account.actions) == {ACTION}, "the good one neither"
    answer = mutate(client, create(client, name="good"), create(client, **values), partial_failure=True)
    assert by_row(client, answer) == {1: [code.partition(".")[2]]}
    assert [bool(result.resource_name) for result in answer.results] == [True, False]


@pytest.mark.parametrize(
    ("name", "paths", "code"),
    [
        (ACTION_NAME + "0", ["name"], "mutate_error.RESOURCE_NOT_FOUND"),
        (ACTION_NAME, [], "field_mask_error.FIELD_MASK_MISSING"),
        (ACTION_NAME, ["type"], "field_error.IMMUTABLE_FIELD"),
    ],
)
def test_a_bad_update_is_refused(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, name: str, paths: list[str], code: str
) -> None:
    sandbox.seed({"actions": {ACTION: "UPLOAD_CLICKS"}})
    with pytest.raises(GoogleAdsException) as raised:
        mutate(client, update(client, name, paths, name="n"))
    assert refusal(raised.value) == ("INVALID_ARGUMENT", [code])


def test_validate_only_makes_nothing(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    assert list(mutate(client, create(client), validate_only=True).results) == []
    assert sandbox.account.actions == {}
    assert sandbox.account.goals == {}


# ---------------------------------------------------------------- goals


def test_a_goal_comes_with_its_action_and_is_taken_out_of_bidding(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient
) -> None:
    mutate(client, create(client, category=client.enums.ConversionActionCategoryEnum.QUALIFIED_LEAD))
    query = "SELECT customer_conversion_goal.biddable, customer_conversion_goal.category FROM customer_conversion_goal"
    (row,) = search(client, query)
    assert row.customer_conversion_goal.biddable
    operation = client.get_type("CustomerConversionGoalOperation")
    operation.update.resource_name = row.customer_conversion_goal.resource_name
    operation.update_mask.paths.append("biddable")
    goals = client.get_service("CustomerConversionGoalService")
    goals.mutate_customer_conversion_goals(customer_id=CUSTOMER, operations=[operation])
    (row,) = search(client, query)
    assert not row.customer_conversion_goal.biddable
    assert sandbox.account.goals == {("QUALIFIED_LEAD", "WEBSITE"): False}
    operation.update.resource_name += "X"
    with pytest.raises(GoogleAdsException) as raised:
        goals.mutate_customer_conversion_goals(customer_id=CUSTOMER, operations=[operation])
    assert refusal(raised.value) == ("INVALID_ARGUMENT", ["mutate_error.RESOURCE_NOT_FOUND"])


# ---------------------------------------------------------------- queries


def test_the_account_tells_its_terms_and_its_owner(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.seed({"data_terms": False, "enhanced_conversions": False, "conversion_customer": "9998887777"})
    (row,) = search(
        client,
        "SELECT customer.id, customer.conversion_tracking_setting.accepted_customer_data_terms, "
        "customer.conversion_tracking_setting.effective_enablement_setting, "
        "customer.conversion_tracking_setting.google_ads_conversion_customer FROM customer",
    )
    setting = row.customer.conversion_tracking_setting
    assert row.customer.id == int(CUSTOMER)
    assert not setting.accepted_customer_data_terms
    assert setting.effective_enablement_setting == client.enums.EnhancedConversionsConfigEnum.OFF
    assert setting.google_ads_conversion_customer == "customers/9998887777"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("conversion_action.id", "EXPECTED_SELECT"),
        ("SELECT conversion_action.id", "EXPECTED_FROM"),
        ("SELECT conversion_action.id FROM campaign", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT conversion_action.colour FROM conversion_action", "UNRECOGNIZED_FIELD"),
        (
            "SELECT customer.conversion_tracking_setting.enhanced_conversions_for_leads_enabled FROM customer",
            "UNRECOGNIZED_FIELD",
        ),
        ("SELECT customer.conversion_tracking_setting FROM customer", "PROHIBITED_FIELD_IN_SELECT_CLAUSE"),
        ("SELECT user_list.id FROM conversion_action", "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE"),
        ("SELECT metrics.clicks FROM conversion_action", "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE"),
        ("SELECT user_list.id FROM user_list WHERE user_list.name", "BAD_OPERATOR"),
        ("SELECT user_list.id FROM user_list WHERE user_list.type = 'X'", "BAD_ENUM_CONSTANT"),
        ("SELECT user_list.id FROM user_list WHERE user_list.name = 'a", "STRING_NOT_TERMINATED"),
        ("SELECT user_list.id FROM user_list WHERE user_list.id IN ()", "PROHIBITED_EMPTY_LIST_IN_CONDITION"),
        ("SELECT user_list.id FROM user_list LIMIT 0", "BAD_LIMIT_VALUE"),
        ("SELECT user_list.id FROM user_list LIMIT 5 7", "UNEXPECTED_INPUT"),
    ],
)
def test_a_bad_query_is_refused(sandbox: GoogleAdsSandbox, client: GoogleAdsClient, query: str, code: str) -> None:
    with pytest.raises(GoogleAdsException) as raised:
        search(client, query)
    assert refusal(raised.value) == ("INVALID_ARGUMENT", [f"query_error.{code}"])


def test_rows_are_filtered_ordered_and_limited(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.seed({"actions": {str(number): {"name": f"a{number}"} for number in range(1, 6)}})

    def found(rest: str) -> list[int]:
        rows = search(client, f"SELECT conversion_action.id FROM conversion_action {rest}")
        return [row.conversion_action.id for row in rows]

    assert found("WHERE conversion_action.id IN (2, 4)") == [2, 4]
    assert found("WHERE conversion_action.id NOT IN (2, 4) AND conversion_action.id >= 3") == [3, 5]
    assert found("WHERE conversion_action.name LIKE '%5'") == [5]
    assert found("WHERE conversion_action.id BETWEEN 2 AND 3") == [2, 3]
    assert found("WHERE conversion_action.primary_for_goal = TRUE ORDER BY conversion_action.name DESC LIMIT 2") == [
        5,
        4,
    ]


def test_a_stream_says_the_same(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.seed({"actions": {ACTION: {"name": "demo"}}})
    query = "SELECT conversion_action.name FROM conversion_action"
    service = client.get_service("GoogleAdsService")
    (batch,) = service.search_stream(customer_id=CUSTOMER, query=query)
    assert list(batch.results) == search(client, query)
    assert list(batch.field_mask.paths) == ["conversion_action.name"]
    with pytest.raises(GoogleAdsException) as raised:
        list(service.search_stream(customer_id=CUSTOMER, query="SELECT"))
    assert refusal(raised.value) == ("INVALID_ARGUMENT", ["query_error.UNEXPECTED_END_OF_QUERY"])
