"""The Data Manager API by gRPC: messages to bytes, refusals to ``google.rpc.Status``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from leadup.sandbox import Fault
from leadup_connectors.google_ads.sandbox.manager import DataManager
from leadup_connectors.google_ads.sandbox.refusals import DOMAIN, Refusal, weathered
from leadup_connectors.google_ads.sandbox.rpc import Failure


class ManagerService:
    """Answers ``IngestionService`` and ``UserListService``."""

    prefix = "/google.ads.datamanager.v1."

    def __init__(
        self,
        manager: Callable[[], DataManager],
        call: Callable[[str, Any, Mapping[str, str]], Any],
        most_named: Callable[[], int],
    ) -> None:
        self._manager, self._call, self._most_named = manager, call, most_named
        self._failed = 0

    def known_as(self, path: str) -> str:
        method = self._manager().methods.get(path.rpartition("/")[2])
        return method.path if method else path

    def streams(self, path: str) -> bool:
        return False

    def answer(self, path: str, body: bytes, metadata: Mapping[str, str]) -> bytes:
        name = path.rpartition("/")[2]
        method = self._manager().methods.get(name)
        if method is None:
            raise Failure(501, "Method not found.")
        try:
            message = method.kind.pb().FromString(body)
            answer: Message = self._call(name, message, metadata)
        except DecodeError:
            raise Failure(400, "The request can not be read.") from None
        except Refusal as refusal:
            raise self._failure(refusal) from None
        return bytes(answer.SerializeToString())

    def fault(self, path: str, status: int, fault: Fault) -> Failure:
        return self._failure(weathered(status, fault.code), fault.retry_after)

    def _failure(self, refusal: Refusal, retry_after: int | None = None) -> Failure:
        self._failed += 1
        details: list[Message] = [
            error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=refusal.metadata),
            error_details_pb2.RequestInfo(request_id=f"refused-{self._failed}"),
        ]
        if named := refusal.violations[: self._most_named()]:
            kind = error_details_pb2.BadRequest
            violations = [kind.FieldViolation(field=v.field, description=v.description, reason=v.reason) for v in named]
            details.append(kind(field_violations=violations))
        if retry_after is not None:
            details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=retry_after)))
        status = status_pb2.Status(code=code_pb2.Code.Value(refusal.code), message=refusal.message)
        for detail in details:
            status.details.add().Pack(detail)
        return Failure(refusal.status, refusal.message, [("grpc-status-details-bin", status.SerializeToString())])
