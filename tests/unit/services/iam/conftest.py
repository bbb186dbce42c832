"""An iam slice over a memory store, called as the front calls it; every answer is held to AWS's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from ropewalk.aws.operations import Call, Principal
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.services.iam import Iam, operations
from ropewalk.store.memory import MemoryStore

ACCOUNT = "123456789012"
MODEL = botocore.session.get_session().get_service_model("iam")


class Asked:
    """An authorizer that allows everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, str, dict[str, list[str]]]] = []
        self.refuse: set[str] = set()

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        self.questions.append((action, resource, {name: list(values) for name, values in context.items()}))
        if action in self.refuse:
            raise Fault("AccessDenied", action, status=403)


class Harness:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(SeededEntropy(1))
        self.iam = Iam.over(self.store, self.clock, SeededEntropy(2), ACCOUNT)
        self.asked = Asked()
        self.principal = Principal(f"arn:aws:iam::{ACCOUNT}:user/caller", ACCOUNT, "AIDACALLER", "user")

    async def __call__(self, operation: str, **params: Any) -> Any:
        call = Call(
            service="iam",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region="us-east-1",
            principal=self.principal,
            now=self.clock.wall(),
            source_ip="127.0.0.1",
            host="127.0.0.1:4566",
            authorizer=self.asked,
        )
        offered = operations.offered[operation]
        await offered.authorise(self.iam, call, params)
        answer = await offered.run(self.iam, call, params)
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
        else:
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), report.generate_report()
        return answer

    async def refused(self, operation: str, **params: Any) -> str:
        """The code of the fault that the operation answers with."""
        with pytest.raises(Fault) as caught:
            await self(operation, **params)
        return caught.value.code


@pytest.fixture
def iam() -> Harness:
    return Harness()
