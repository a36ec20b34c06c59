"""User lists of the Data Manager API: ``UserListService``, whatever door a call comes through."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

from google.ads import datamanager_v1 as v1
from google.protobuf.empty_pb2 import Empty

from leadup_connectors.google_ads.sandbox import checks
from leadup_connectors.google_ads.sandbox.account import Account, UserList
from leadup_connectors.google_ads.sandbox.refusals import Refusal, Violation, invalid

_FILTER: Final = re.compile(r'display_name = "((?:[^"\\]|\\.)*)"')
_PARENT: Final = re.compile(r"accountTypes/GOOGLE_ADS/accounts/(\d{10})")
_NAME: Final = re.compile(_PARENT.pattern + r"/userLists/(\d+)")
_MOST_A_PAGE: Final = 1_000
_A_PAGE: Final = 50
_FIRST_ID: Final = 7_000_000_001
_UPDATABLE: Final = frozenset(
    {"display_name", "description", "membership_status", "membership_duration", "integration_code"}
)


class UserLists:
    """The lists of an account; ``manager`` is the account that access goes through, if any."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.manager = ""
        self._ids = itertools.count(_FIRST_ID)

    def create(self, message: Any, metadata: Mapping[str, str]) -> Any:
        new, account = v1.UserList.pb()(), self._account(message.parent, metadata)
        new.CopyFrom(message.user_list)
        violations = list(checks.user_list(new))
        if any(u.message.display_name == new.display_name for u in self._owned(account)):
            violations.append(Violation("user_list.display_name", "DISPLAY_NAME_ALREADY_USED"))
        if violations:
            raise invalid(*violations)
        if message.validate_only:
            return v1.UserList.pb()()
        new.id = next(self._ids)
        new.name = f"accountTypes/GOOGLE_ADS/accounts/{account}/userLists/{new.id}"
        new.membership_duration.seconds = new.membership_duration.seconds or checks.LONGEST_MEMBERSHIP
        new.membership_status = new.membership_status or v1.UserList.MembershipStatus.OPEN.value
        new.access_reason = v1.UserList.AccessReason.OWNED.value
        self.account.lists[str(new.id)] = UserList(new, account)
        return self._measured(self.account.lists[str(new.id)])

    def update(self, message: Any, metadata: Mapping[str, str]) -> Any:
        found = self._find(message.user_list.name, metadata)
        paths, violations = list(message.update_mask.paths), []
        for path in paths or ["*"]:
            if path.startswith("ingested_user_list_info"):
                violations.append(Violation(f"user_list.{path}", "IMMUTABLE_FIELD_FOR_UPDATE"))
            elif path not in _UPDATABLE:
                violations.append(Violation("update_mask", "INVALID_UPDATE_MASK"))
        new = v1.UserList.pb()()
        new.CopyFrom(found.message)
        message.update_mask.MergeMessage(message.user_list, new, replace_message_field=True)
        violations += checks.user_list(new)
        others = (u for u in self._owned(found.account) if u is not found)
        if any(u.message.display_name == new.display_name for u in others):
            violations.append(Violation("user_list.display_name", "DISPLAY_NAME_ALREADY_USED"))
        if violations:
            raise invalid(*violations)
        if not message.validate_only:
            found.message.CopyFrom(new)
        return self._measured(found)

    def list_all(self, message: Any, metadata: Mapping[str, str]) -> Any:
        found = self._owned(self._account(message.parent, metadata))
        if message.filter:
            if not (matched := _FILTER.fullmatch(message.filter)):
                raise invalid(Violation("filter", "INVALID_FILTER"))
            name = re.sub(r"\\(.)", r"\1", matched[1])
            found = [one for one in found if one.message.display_name == name]
        if message.page_token and not message.page_token.isdigit():
            raise invalid(Violation("page_token", "INVALID_PAGE_TOKEN"))
        start, size = int(message.page_token or 0), min(message.page_size or _A_PAGE, _MOST_A_PAGE)
        page = [self._measured(one) for one in found[start : start + size]]
        answer = v1.ListUserListsResponse.pb()(user_lists=page)
        answer.next_page_token = str(start + size) if start + size < len(found) else ""
        return answer

    def get(self, message: Any, metadata: Mapping[str, str]) -> Any:
        return self._measured(self._find(message.name, metadata))

    def delete(self, message: Any, metadata: Mapping[str, str]) -> Any:
        found = self._find(message.name, metadata)
        if not message.validate_only:
            del self.account.lists[str(found.message.id)]
        return Empty()

    def _find(self, name: str, metadata: Mapping[str, str]) -> UserList:
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise invalid(Violation("name", "INVALID_RESOURCE_NAME"))
        found = self.account.lists.get(matched[2])
        if found is None or found.account != self._account(name.rpartition("/userLists/")[0], metadata):
            raise Refusal(404, "NOT_FOUND")
        return found

    def _account(self, parent: str, metadata: Mapping[str, str]) -> str:
        login = metadata.get("login-account", "").removeprefix("accountTypes/GOOGLE_ADS/accounts/")
        if self.manager and login != self.manager:
            raise Refusal(403, "PERMISSION_DENIED")
        if not (matched := _PARENT.fullmatch(parent)):
            raise invalid(Violation("parent", "INVALID_RESOURCE_NAME"))
        return matched[1]

    def _owned(self, account: str) -> list[UserList]:
        return [found for found in self.account.lists.values() if found.account == account]

    def _measured(self, found: UserList) -> Any:
        """The list with its sizes of now; Google gives none for an empty list."""
        message, size = v1.UserList.pb()(), self.account.size(found)
        message.CopyFrom(found.message)
        if size:
            for network in ("display_network", "search_network", "youtube", "gmail"):
                setattr(message.size_info, f"{network}_members_count", size)
            if message.ingested_user_list_info.HasField("contact_id_info"):
                message.ingested_user_list_info.contact_id_info.match_rate_percentage = self.account.match_rate
        return message
