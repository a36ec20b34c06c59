"""The emulated Google Ads API takes and refuses conversions and adjustments, row by row, as its pages say.

Asked by an unmodified ``GoogleAdsClient`` over TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.api_core.exceptions import InternalServerError, ResourceExhausted
from google_ads_kit import ACTION, ACTION_NAME, CUSTOMER, by_row, connected, filled, refusal, search

from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HASH = "ab" * 32
TIME = "2026-03-09 12:00:00+00:00"
OTHER = f"customers/{CUSTOMER}/conversionActions/1"
NOT_LISTED = "not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"


@pytest.fixture
def sandbox(sandbox: GoogleAdsSandbox) -> GoogleAdsSandbox:
    sandbox.seed({"allow_listed": True, "clock": NOW.isoformat(), "actions": {ACTION: "UPLOAD_CLICKS", "1": "WEBPAGE"}})
    return sandbox


def click(**values: Any) -> dict[str, Any]:
    row = {
        "gclid": "Cj0",
        "conversion_action": ACTION_NAME,
        "conversion_date_time": TIME,
        "conversion_value": 5.0,
        "currency_code": "EUR",
        "order_id": "t1",
        **values,
    }
    return {key: value for key, value in row.items() if value is not None}


def upload(client: GoogleAdsClient, *rows: dict[str, Any], **how: Any) -> Any:
    request = client.get_type("UploadClickConversionsRequest")
    filled(request, {"customer_id": CUSTOMER, "conversions": rows, "partial_failure": True, **how})
    return client.get_service("ConversionUploadService").upload_click_conversions(request)


def adjust(client: GoogleAdsClient, *rows: dict[str, Any], **how: Any) -> Any:
    request = client.get_type("UploadConversionAdjustmentsRequest")
    filled(request, {"customer_id": CUSTOMER, "conversion_adjustments": rows, "partial_failure": True, **how})
    return client.get_service("ConversionAdjustmentUploadService").upload_conversion_adjustments(request)


def restatement(value: float = 9.0, at: str = "2026-03-10 10:00:00+00:00", **values: Any) -> dict[str, Any]:
    row = {
        "order_id": "t1",
        "conversion_action": ACTION_NAME,
        "adjustment_date_time": at,
        "adjustment_type": 3,
        "restatement_value": {"adjusted_value": value},
        **values,
    }
    return {key: value for key, value in row.items() if value is not None}


def retraction(**values: Any) -> dict[str, Any]:
    return restatement(**{"adjustment_type": 2, "restatement_value": None, **values})


# ---------------------------------------------------------------- conversions


def test_a_conversion_is_taken(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    row = click(user_identifiers=[{"hashed_email": HASH}], consent={"ad_user_data": 2})
    answer = upload(client, row, job_id=7)
    assert by_row(client, answer) == {}
    assert (answer.results[0].gclid, answer.job_id) == ("Cj0", 7)
    assert sandbox.conversions(ACTION)["t1"] == {
        "value": 5.0,
        "currency": "EUR",
        "count": 1,
        "at": "2026-03-09T12:00:00Z",
        "click_id": "Cj0",
        "identifiers": [HASH],
        "ad_user_data": True,
        "named": True,
        "history": [{"value": 5.0, "currency": "EUR"}],
    }


@pytest.mark.parametrize("allow_listed", [False, True])
def test_customer_match_uploads_are_refused(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, allow_listed: bool
) -> None:
    """Both services; who is on the list finds that the emulator goes no further."""
    sandbox.account.allow_listed = allow_listed
    jobs, users = client.get_service("OfflineUserDataJobService"), client.get_service("UserDataService")
    name = f"customers/{CUSTOMER}/offlineUserDataJobs/1"
    calls: list[Callable[[], Any]] = [
        lambda: jobs.create_offline_user_data_job(customer_id=CUSTOMER, job=client.get_type("OfflineUserDataJob")),
        lambda: jobs.add_offline_user_data_job_operations(resource_name=name, operations=[]),
        lambda: jobs.run_offline_user_data_job(resource_name=name),
        lambda: users.upload_user_data(request={"customer_id": CUSTOMER}),
    ]
    for call in calls:
        with pytest.raises(GoogleAdsException) as raised:
            call()
        expected = ("UNIMPLEMENTED", ["internal_error.INTERNAL_ERROR"])
        assert refusal(raised.value) == (expected if allow_listed else ("PERMISSION_DENIED", [NOT_LISTED]))


def test_who_did_not_upload_before_2026_is_refused(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.account.allow_listed = False
    with pytest.raises(GoogleAdsException) as raised:
        upload(client, click())
    assert refusal(raised.value) == ("PERMISSION_DENIED", [NOT_LISTED])


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"partial_failure": False}, "partial_failure_error.PARTIAL_FAILURE_MODE_REQUIRED"),
        ({"job_id": -1}, "conversion_upload_error.INVALID_JOB_ID"),
        ({"conversions": [click()] * 2_001}, "conversion_upload_error.TOO_MANY_CONVERSIONS_IN_REQUEST"),
        ({"customer_id": "12"}, "request_error.INVALID_CUSTOMER_ID"),
    ],
)
def test_a_bad_request_is_refused_whole(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, how: dict[str, Any], code: str
) -> None:
    with pytest.raises(GoogleAdsException) as raised:
        upload(client, **{"conversions": [click()], **how})
    assert refusal(raised.value) == ("INVALID_ARGUMENT", [code])


PROVOKED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"gclid": "not one!"}, "UNPARSEABLE_GCLID"),
    ({}, {"gclid": None, "wbraid": "not one!"}, "UNPARSEABLE_WBRAID"),
    ({}, {"gclid": None, "gbraid": "not one!"}, "UNPARSEABLE_GBRAID"),
    ({}, {"gclid": None, "gbraid": "b", "wbraid": "w"}, "GBRAID_WBRAID_BOTH_SET"),
    ({}, {"user_identifiers": [{"hashed_email": "AB"}]}, "INVALID_USER_IDENTIFIER"),
    ({}, {"user_identifiers": [{"mobile_id": "m"}]}, "UNSUPPORTED_USER_IDENTIFIER"),
    ({}, {"order_id": "ada@example.com"}, "ORDER_ID_CONTAINS_PII"),
    ({}, {"custom_variables": [{"value": "ada@example.com"}]}, "CUSTOM_VARIABLE_VALUE_CONTAINS_PII"),
    ({}, {"conversion_action": OTHER + "2"}, "NO_CONVERSION_ACTION_FOUND"),
    ({}, {"conversion_action": OTHER}, "INVALID_CONVERSION_ACTION_TYPE"),
    ({}, {"conversion_date_time": "2026-03-09T12:00:00Z"}, "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET"),
    ({}, {"conversion_date_time": None}, "REQUIRED"),
    ({}, {"gclid": None}, "REQUIRED"),
    ({}, {"user_ip_address": "192.0.2.1"}, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"),
    ({}, {"conversion_date_time": "2025-11-09 12:00:00+00:00"}, "EXPIRED_EVENT"),
    (
        {"actions": {ACTION: {"created": NOW}}},
        {},
        "TOO_RECENT_CONVERSION_ACTION",
    ),
    (
        {"actions": {ACTION: {"counting": "ONE_PER_CLICK"}}},
        {"gclid": None, "gbraid": "b"},
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    ),
    ({"clicks": {}}, {}, "EVENT_NOT_FOUND"),
    ({"clicks": {}}, {"gclid": None, "user_identifiers": [{"hashed_email": HASH}]}, "CLICK_NOT_FOUND"),
    ({"clicks": {"Cj0": "2026-03-09T13:00:00+00:00"}}, {}, "CONVERSION_PRECEDES_EVENT"),
    (
        {"clicks": {"Cj0": "2026-03-10T07:00:00+00:00"}},
        {"conversion_date_time": "2026-03-10 08:00:00+00:00"},
        "TOO_RECENT_EVENT",
    ),
    (
        {"clicks": {"Cj0": "2026-02-01T12:00:00+00:00"}, "actions": {ACTION: {"lookback_days": 30}}},
        {},
        "EXPIRED_EVENT",
    ),
    ({"clicks": {"Cj0": {"at": "2026-03-09T08:00:00+00:00", "account": "1"}}}, {}, "INVALID_CUSTOMER_FOR_CLICK"),
    (
        {"clicks": {"Cj0": {"at": "2026-03-09T08:00:00+00:00", "from_ads": False}}},
        {},
        "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
    ),
    (
        {"data_terms": False},
        {"user_identifiers": [{"hashed_email": HASH}]},
        "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
    ),
    (
        {"enhanced_conversions": False},
        {"user_identifiers": [{"hashed_email": HASH}]},
        "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    ),
    (
        {"data_policy_ok": False},
        {"user_identifiers": [{"hashed_email": HASH}]},
        "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
    ),
]


@pytest.mark.parametrize(("seed", "values", "code"), PROVOKED)
def test_a_bad_row_fails_alone(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, seed: dict[str, Any], values: dict[str, Any], code: str
) -> None:
    sandbox.seed(seed)
    answer = upload(client, click(**values))
    assert by_row(client, answer) == {0: [code]}
    assert not answer.results[0].HasField("conversion_action"), "an empty result"
    assert sandbox.conversions(ACTION) == {}


def test_good_rows_go_on_and_the_message_tells_the_first_error_alone(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient
) -> None:
    rows = [click(order_id=f"t{n}", gclid="!" if n in (1, 3) else f"Cj{n}") for n in range(4)]
    answer = upload(client, *rows)
    assert by_row(client, answer) == {1: ["UNPARSEABLE_GCLID"], 3: ["UNPARSEABLE_GCLID"]}
    assert answer.partial_failure_error.message.endswith("Unparseable gclid., at conversions[1].gclid")
    assert [result.gclid for result in answer.results] == ["Cj0", "", "Cj2", ""]
    assert set(sandbox.conversions(ACTION)) == {"t0", "t2"}


def test_what_is_there_already_is_refused(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    rows = [click(), click(order_id=None, gclid="other")]
    assert by_row(client, upload(client, *rows)) == {}
    assert by_row(client, upload(client, *rows)) == {
        0: ["ORDER_ID_ALREADY_IN_USE"],
        1: ["CLICK_CONVERSION_ALREADY_EXISTS"],
    }


def test_copies_in_a_request_are_all_refused(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    rows = [click(), click(conversion_value=6.0), click(order_id=None), click(order_id=None), click(order_id="t2")]
    assert by_row(client, upload(client, *rows)) == {
        0: ["DUPLICATE_ORDER_ID"],
        1: ["DUPLICATE_ORDER_ID"],
        2: ["DUPLICATE_CLICK_CONVERSION_IN_REQUEST"],
        3: ["DUPLICATE_CLICK_CONVERSION_IN_REQUEST"],
    }
    assert set(sandbox.conversions(ACTION)) == {"t2"}


@pytest.mark.parametrize(
    "code",
    [
        "TOO_RECENT_CALL",
        "UNAUTHORIZED_CUSTOMER",
        "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY",
        "quota_error.ACCESS_PROHIBITED",
    ],
)
def test_any_error_can_strike_rows_as_a_fault(sandbox: GoogleAdsSandbox, client: GoogleAdsClient, code: str) -> None:
    sandbox.weather.add(kind="reject", every=2, code=code)
    answer = upload(client, *[click(order_id=f"t{n}") for n in range(4)])
    assert by_row(client, answer) == {1: [code.rpartition(".")[2]], 3: [code.rpartition(".")[2]]}


def test_validate_only_takes_nothing(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    answer = upload(client, click(), click(order_id="a@b.example"), validate_only=True)
    assert by_row(client, answer) == {1: ["ORDER_ID_CONTAINS_PII"]}
    assert (list(answer.results), sandbox.conversions(ACTION)) == ([], {})


# ---------------------------------------------------------------- adjustments


def test_a_conversion_is_restated_and_retracted_whichever_way_it_came(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient
) -> None:
    sandbox.account.allow_listed = True
    upload(client, click())
    sandbox.account.allow_listed = False  # adjustments are for all
    assert by_row(client, adjust(client, restatement())) == {}
    assert sandbox.conversions(ACTION)["t1"]["value"] == 9.0
    assert by_row(client, adjust(client, retraction(at="2026-03-10 11:00:00+00:00"))) == {}
    held = sandbox.conversions(ACTION)["t1"]
    assert (held["count"], held["adjusted"]) == (0, ["2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z"])


def test_a_conversion_without_an_order_id_goes_by_its_click(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    upload(client, click(order_id=None), click())
    pair = {"gclid": "Cj0", "conversion_date_time": TIME}
    assert by_row(client, adjust(client, restatement(order_id=None, gclid_date_time_pair=pair))) == {}
    assert [one["value"] for one in sandbox.conversions(ACTION).values()] == [9.0, 5.0]


ADJUSTED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"order_id": "t2"}, "CONVERSION_NOT_FOUND"),
    ({}, {"order_id": None}, "REQUIRED"),
    (
        {},
        {"gclid_date_time_pair": {"gclid": "Cj0", "conversion_date_time": TIME}},
        "GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET",
    ),
    (
        {},
        {"order_id": None, "gclid_date_time_pair": {"gclid": "Cj0", "conversion_date_time": TIME}},
        "CONVERSION_NOT_FOUND",
    ),
    ({}, {"order_id": "ada@example.com"}, "ORDER_ID_CONTAINS_PII"),
    ({}, {"at": "2026-03-09 11:00:00+00:00"}, "ADJUSTMENT_PRECEDES_CONVERSION"),
    ({}, {"at": "yesterday"}, "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET"),
    ({}, {"restatement_value": None}, "REQUIRED"),
    ({}, {"adjustment_type": 4}, "CONVERSION_ACTION_NOT_ELIGIBLE_FOR_ENHANCEMENT"),
    ({}, {"conversion_action": OTHER + "2"}, "NO_CONVERSION_ACTION_FOUND"),
    ({"actions": {ACTION: "STORE_SALES"}}, {}, "INVALID_CONVERSION_ACTION_TYPE"),
    ({"actions": {ACTION: {"created": NOW}}}, {}, "TOO_RECENT_CONVERSION_ACTION"),
    (
        {"actions": {ACTION: {"always_default": True}}},
        {},
        "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
    ),
    ({"clock": "2026-05-09T12:00:00+00:00"}, {}, "CONVERSION_EXPIRED"),
]


@pytest.mark.parametrize(("seed", "values", "code"), ADJUSTED)
def test_a_bad_adjustment_fails_alone(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, seed: dict[str, Any], values: dict[str, Any], code: str
) -> None:
    upload(client, click())
    sandbox.seed(seed)
    assert by_row(client, adjust(client, restatement(**values))) == {0: [code]}
    assert sandbox.conversions(ACTION)["t1"]["value"] == 5.0


def test_adjustments_have_an_order(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    upload(client, click())
    adjust(client, restatement(at="2026-03-10 10:00:00+00:00"))
    early, equal = "2026-03-10 09:00:00+00:00", "2026-03-10 12:00:00+02:00"
    assert by_row(client, adjust(client, restatement(at=early), restatement(at=equal))) == {
        0: ["MORE_RECENT_RESTATEMENT_FOUND"],
        1: ["RESTATEMENT_ALREADY_EXISTS"],
    }
    assert by_row(client, adjust(client, restatement(), restatement())) == {
        0: ["DUPLICATE_ADJUSTMENT_IN_REQUEST"],
        1: ["DUPLICATE_ADJUSTMENT_IN_REQUEST"],
    }
    late = retraction(at="2026-03-10 11:00:00+00:00")
    assert by_row(client, adjust(client, late)) == {}
    assert by_row(client, adjust(client, late)) == {0: ["CONVERSION_ALREADY_RETRACTED"]}


def test_a_conversion_takes_only_so_many_adjustments(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    upload(client, click())
    rows = [restatement(value=float(n), at=f"2026-03-10 10:{n:02}:00+00:00") for n in range(55)]
    assert by_row(client, adjust(client, *rows)) == {54: ["TOO_MANY_ADJUSTMENTS"]}


# ---------------------------------------------------------------- what it says of uploads


def test_summaries_tell_of_jobs_days_and_errors(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    upload(client, click(), click(order_id="t2", gclid="!"), job_id=3)
    (row,) = search(
        client,
        "SELECT offline_conversion_upload_client_summary.status, "
        "offline_conversion_upload_client_summary.successful_event_count, "
        "offline_conversion_upload_client_summary.job_summaries, offline_conversion_upload_client_summary.alerts "
        "FROM offline_conversion_upload_client_summary",
    )
    summary = row.offline_conversion_upload_client_summary
    assert summary.successful_event_count == 1
    assert [(job.job_id, job.successful_count, job.failed_count) for job in summary.job_summaries] == [(3, 1, 1)]
    (alert,) = summary.alerts
    assert alert.error.conversion_upload_error == 3, "UNPARSEABLE_GCLID"
    assert alert.error_percentage == 0.5
    (row,) = search(
        client,
        "SELECT offline_conversion_upload_conversion_action_summary.conversion_action_id, "
        "offline_conversion_upload_conversion_action_summary.total_event_count "
        "FROM offline_conversion_upload_conversion_action_summary",
    )
    by_action = row.offline_conversion_upload_conversion_action_summary
    assert (by_action.conversion_action_id, by_action.total_event_count) == (int(ACTION), 2)


def test_an_action_tells_its_conversions_of_some_days(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    days = ("2026-03-09", "2026-03-01", "2026-01-01")
    upload(
        client, *[click(order_id=f"t{n}", conversion_date_time=f"{day} 12:00:00+00:00") for n, day in enumerate(days)]
    )

    def counted(where: str = "") -> tuple[float, float]:
        found = search(
            client,
            "SELECT metrics.all_conversions, metrics.all_conversions_value FROM conversion_action "
            f"WHERE conversion_action.id = {ACTION} {where}",
        )
        return found[0].metrics.all_conversions, found[0].metrics.all_conversions_value

    assert counted() == (3, 15)
    assert counted("AND segments.date DURING LAST_30_DAYS") == (2, 10)
    assert counted("AND segments.date BETWEEN '2026-01-01' AND '2026-03-01'") == (2, 10)
    assert counted("AND segments.date > '2026-03-01'") == (1, 5)


# ---------------------------------------------------------------- access and weather


def test_calls_name_the_manager_account(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.manager = "9998887777"
    with pytest.raises(GoogleAdsException) as raised:
        search(client, "SELECT customer.id FROM customer")
    assert refusal(raised.value) == ("PERMISSION_DENIED", ["authorization_error.USER_PERMISSION_DENIED"])
    as_manager = connected(sandbox, login_customer_id="9998887777")
    assert len(search(as_manager, "SELECT customer.id FROM customer")) == 1


def test_a_version_has_its_sunset(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.sunset = True
    with pytest.raises(GoogleAdsException) as raised:
        search(client, "SELECT customer.id FROM customer")
    assert refusal(raised.value) == ("INVALID_ARGUMENT", ["request_error.UNSUPPORTED_VERSION"])


def test_another_version_is_one_of_the_past(sandbox: GoogleAdsSandbox) -> None:
    old = connected(sandbox, version="v25")
    with pytest.raises(GoogleAdsException) as raised:
        search(old, "SELECT customer.id FROM customer")
    assert refusal(raised.value) == ("INVALID_ARGUMENT", ["request_error.UNSUPPORTED_VERSION"])


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "expire_token"}, "UNAUTHENTICATED", "authentication_error.OAUTH_TOKEN_EXPIRED"),
        ({"kind": "fail", "status": 503}, "UNAVAILABLE", "internal_error.TRANSIENT_ERROR"),
        ({"kind": "fail", "code": "SERVICE_DISABLED"}, "UNAVAILABLE", "internal_error.TRANSIENT_ERROR"),
        ({"kind": "fail", "status": 504}, "DEADLINE_EXCEEDED", "internal_error.DEADLINE_EXCEEDED"),
        (
            {"kind": "fail", "status": 403, "code": "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"},
            "PERMISSION_DENIED",
            "authorization_error.CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
        ),
    ],
)
def test_faults_say_what_google_says(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, fault: dict[str, Any], status: str, code: str
) -> None:
    sandbox.weather.add(**fault)
    with pytest.raises(GoogleAdsException) as raised:
        upload(client, click())
    assert refusal(raised.value) == (status, [code])
    assert by_row(client, upload(client, click())) == {}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "rate_limit", "retry_after": 30}, ResourceExhausted),
        ({"kind": "rate_limit", "code": "quota_error.RESOURCE_EXHAUSTED"}, ResourceExhausted),
        ({"kind": "fail", "status": 500}, InternalServerError),
    ],
)
def test_two_statuses_are_not_wrapped_by_the_sdk(
    sandbox: GoogleAdsSandbox, client: GoogleAdsClient, fault: dict[str, Any], kind: type[Exception]
) -> None:
    sandbox.weather.add(**fault)
    with pytest.raises(kind) as raised:
        upload(client, click())
    trailers = dict(raised.value.errors[0].trailing_metadata())  # type: ignore[attr-defined]
    failure = client.get_type("GoogleAdsFailure")
    failure.ParseFromString(trailers["google.ads.googleads.v26.errors.googleadsfailure-bin"])
    assert trailers["request-id"] == failure.request_id
    details = failure.errors[0].details.quota_error_details
    assert details.retry_delay.seconds == fault.get("retry_after", 0)


def test_an_answer_is_lost_after_the_work(sandbox: GoogleAdsSandbox, client: GoogleAdsClient) -> None:
    sandbox.weather.add(kind="lose_answer", path="UploadClickConversions")
    with pytest.raises(Exception, match="Socket closed"):
        upload(client, click())
    assert set(sandbox.conversions(ACTION)) == {"t1"}
    assert [(one.method, one.path.rpartition("/")[2], one.status) for one in sandbox.weather.log] == [
        ("gRPC", "UploadClickConversions", 0)
    ]
