"""Short words for the tests that speak with the emulator by the SDKs themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.oauth2.credentials import Credentials

from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox

CUSTOMER = "1234567890"
ACTION = "987654321"
ACTION_NAME = f"customers/{CUSTOMER}/conversionActions/{ACTION}"


def connected(sandbox: GoogleAdsSandbox, **how: Any) -> GoogleAdsClient:
    """An unmodified client, over TLS. The roots are the same for every emulator of a process."""
    doors = sandbox.doors()
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = doors["roots"]
    return GoogleAdsClient(Credentials(token="x"), endpoint=doors["grpc_tls"], use_proto_plus=False, **how)


def search(client: GoogleAdsClient, query: str, customer: str = CUSTOMER) -> list[Any]:
    """The rows of a query, all pages of it."""
    return list(client.get_service("GoogleAdsService").search(customer_id=customer, query=query))


def codes(failure: Any) -> list[str]:
    """The errors of a ``GoogleAdsFailure``, as ``enum_field.NAME``."""
    raw = type(failure).pb(failure) if hasattr(type(failure), "pb") else failure
    return [_code(error.error_code) for error in raw.errors]


def refusal(raised: GoogleAdsException) -> tuple[str, list[str]]:
    """The gRPC status and the errors of a refused request."""
    return raised.error.code().name, codes(raised.failure)


def by_row(client: GoogleAdsClient, answer: Any) -> Mapping[int, list[str]]:
    """The errors of a partial failure, by the index of the row."""
    found: dict[int, list[str]] = {}
    for detail in answer.partial_failure_error.details:
        failure = client.get_type("GoogleAdsFailure")
        failure.ParseFromString(detail.value)
        for error in failure.errors:
            index = error.location.field_path_elements[0].index
            found.setdefault(index, []).append(_code(error.error_code).partition(".")[2])
    return found


def _code(code: Any) -> str:
    field = code.WhichOneof("error_code")
    return f"{field}.{code.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(code, field)].name}"


def filled(message: Any, values: Mapping[str, Any]) -> Any:
    """A raw message with these fields: scalars, mappings for messages, lists for repeated ones."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            filled(getattr(message, name), value)
        elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
            for item in value:
                filled(getattr(message, name).add(), item)
        else:
            setattr(message, name, value)
    return message
