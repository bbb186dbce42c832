"""The three kinds of failure: the caller's fault, something to try again, or a bug.

A bug is any other exception: it is logged with its traceback and answered as an internal error. Nothing else in the
project invents an exception hierarchy; `Fault` carries AWS's code or Kubernetes' reason in the family's own words.
"""

from __future__ import annotations

from collections.abc import Mapping


class Fault(Exception):
    """The caller's mistake, in the API's own terms. The message says what to do about it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members: Mapping[str, object] = members or {}
        """Further members of the modelled error shape (ECS's `resourceIds`, say)."""


class Retryable(Exception):
    """Not possible now; worth another try after `after` seconds."""

    def __init__(self, reason: str, after: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
