"""The fake's side of accounts: one of each, as the pages need them."""

from collections.abc import Mapping, Sequence
from typing import Any

NOW_MS = 1_773_439_800_000


class AccountFake:
    """Implements dashboards.account_reader.AccountReader."""

    async def own_account(self, user: Any) -> Mapping[str, Any]:
        return {
            "username": "li", "name": user.name, "role": user.role, "level": "all", "place": "",
            "totp_on": False, "codes_left": 0, "now_ms": NOW_MS, "tz": "Asia/Shanghai",
            "sessions": [{"begins": "a" * 32, "agent": "Firefox", "created_ms": NOW_MS,
                          "seen_ms": NOW_MS, "mine": True}],
        }  # fmt: skip

    async def own_act(
        self, user: Any, action: str, fields: Mapping[str, str]  # noqa: ARG002
    ) -> Mapping[str, Any]:
        return {}

    async def device_pass(self, user: Any) -> str:  # noqa: ARG002
        return "1.nonce.pass"

    def looked(self, user: Any, what: str, **about: Any) -> None:
        """Nobody audits the fake."""

    sees = looked

    async def all_accounts(self, user: Any) -> Mapping[str, Any]:  # noqa: ARG002
        return {
            "now_ms": NOW_MS, "tz": "Asia/Shanghai", "roles": ["operator"], "levels": ["all"],
            "rights": ["look"],
            "accounts": [{"id": 1, "username": "li", "name": "李文静", "role": "operator",
                          "level": "all", "place": "", "totp_on": True, "one_time": False,
                          "closed": False}],
            "tokens": [],
        }  # fmt: skip

    async def keep_accounts(
        self, user: Any, action: str, number: int, fields: Mapping[str, Sequence[str]]  # noqa: ARG002
    ) -> Mapping[str, Any]:
        return {}
