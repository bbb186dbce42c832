"""The cluster's end of the agent protocol: machines dial in, take their workloads and report.

Pods write no AWS logs and take no AWS roles from here: whoever asks is refused by name.
"""

from __future__ import annotations

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.model.agent import LogBatch, LogReceipt
from ropewalk.model.ids import Owner
from ropewalk.model.readers import TemporaryKeys
from ropewalk.store.protocol import Store


class _NoLogs:
    async def append(self, batch: LogBatch, role_arn: str | None) -> LogReceipt:
        return LogReceipt(0, "AccessDenied: a Kubernetes cluster keeps no log groups")


class _NoRoles:
    async def session(self, role_arn: str, session_name: str, seconds: float) -> TemporaryKeys:
        raise Fault("AccessDenied", "a Kubernetes cluster hands out no AWS roles by this way", status=403)


def gateway_of(owner: Owner, store: Store, clock: Clock, entropy: Entropy) -> Gateway:
    return Gateway(store, owner, clock=clock, entropy=entropy, log_sink=_NoLogs(), role_sessions=_NoRoles())
