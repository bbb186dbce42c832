"""The quick look at a configuration finds nothing wrong exactly where the thorough one has nothing to tell."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.apply import typed
from ropewalk.kube.machinery.resources import GroupVersionKind

SERVICE = definitions().schema(GroupVersionKind("", "v1", "Service"))
SCALARS = st.sampled_from([None, "a", "", 1, 1.5, True, {}, [], [1], {"a": 1}])
PORTS = st.fixed_dictionaries({}, optional={"port": SCALARS, "name": SCALARS, "protocol": SCALARS, "no": SCALARS})
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.lists(PORTS, max_size=3) | SCALARS,
        "selector": st.dictionaries(st.sampled_from("ab"), SCALARS) | SCALARS,
        "externalIPs": st.lists(SCALARS, max_size=3),
        "loadBalancerSourceRanges": st.lists(st.sampled_from(["a", "b", 1]), max_size=3),
        "allocateLoadBalancerNodePorts": SCALARS,
        "sessionAffinityConfig": st.fixed_dictionaries({"clientIP": SCALARS}) | SCALARS,
        "unheardOf": SCALARS,
    },
)
META = st.fixed_dictionaries(
    {},
    optional={
        "finalizers": st.lists(st.sampled_from(["a", "b", 1]), max_size=3),
        "creationTimestamp": SCALARS,
        "labels": SCALARS,
    },
)


@given(st.fixed_dictionaries({}, optional={"metadata": META | SCALARS, "spec": SPECS | SCALARS, "status": SCALARS}))
def test_both_agree(value: dict[str, Any]) -> None:
    assert typed._fits(SERVICE, value) is not any(True for _ in typed._problems(SERVICE, value, ""))
