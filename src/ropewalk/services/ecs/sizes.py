"""Task sizes: how CPU and memory are written, and which pairs Fargate has.

Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#task_size and
fargate-tasks-services.html. Amounts are CPU units (1024 a vCPU) and MiB.
"""

from __future__ import annotations

import re
from typing import Final

from ropewalk.services.ecs.faults import client

GIB = 1024

_CPU = re.compile(r"\s*(\d{1,7}|\d{0,3}\.\d{1,4}|\d{1,3})\s*(vcpu|vcpus)?\s*\Z", re.IGNORECASE)
_MEMORY = re.compile(r"\s*(\d{1,9}|\d{0,6}\.\d{1,4})\s*(gb|gib|mb|mib)?\s*\Z", re.IGNORECASE)
_TROUBLESHOOTING = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

FARGATE: Final[dict[int, frozenset[int]]] = {
    256: frozenset({512, 1 * GIB, 2 * GIB}),
    512: frozenset(range(1 * GIB, 4 * GIB + 1, GIB)),
    1024: frozenset(range(2 * GIB, 8 * GIB + 1, GIB)),
    2048: frozenset(range(4 * GIB, 16 * GIB + 1, GIB)),
    4096: frozenset(range(8 * GIB, 30 * GIB + 1, GIB)),
    8192: frozenset(range(16 * GIB, 60 * GIB + 1, 4 * GIB)),
    16384: frozenset(range(32 * GIB, 120 * GIB + 1, 8 * GIB)),
}
LECTURE_MOST = 4096
"""CPU units admitted with `fargate_limits = "lecture"`."""

DEFAULT_EPHEMERAL_GIB = 20


def parse_cpu(text: str) -> int:
    """ "256", ".25 vCPU" → 256. Raises ClientException."""
    match = _CPU.match(text)
    if match is None:
        raise client(f"Invalid 'cpu' setting for task. {_TROUBLESHOOTING}")
    amount = float(match[1]) * (1024 if match[2] else 1)
    if amount != int(amount) or not 128 <= amount <= 196_608:
        raise client(f"Invalid 'cpu' setting for task. {_TROUBLESHOOTING}")
    return int(amount)


def parse_memory(text: str) -> int:
    """ "512", "0.5GB" → 512. Raises ClientException."""
    match = _MEMORY.match(text)
    if match is None:
        raise client(f"Invalid 'memory' setting for task. {_TROUBLESHOOTING}")
    amount = float(match[1]) * (GIB if (match[2] or "").lower() in ("gb", "gib") else 1)
    if amount != int(amount) or not 4 <= amount <= 32_000_000:
        raise client(f"Invalid 'memory' setting for task. {_TROUBLESHOOTING}")
    return int(amount)


def fargate_problem(cpu: int, memory: int, limits: str) -> str:
    """Why Fargate has no such size under the installation's `fargate_limits`; "" where it has."""
    known = memory in FARGATE.get(cpu, ())
    if known and (limits == "aws" or cpu <= LECTURE_MOST):
        return ""
    problem = (
        f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. "
        "See the Amazon ECS documentation for the valid values."
    )
    if known:
        problem += (
            " (AWS has this size; this installation admits at most 4 vCPU and 30 GB."
            " One started with `ropewalk up --fargate-limits aws` admits up to 16 vCPU and 120 GB.)"
        )
    return problem


def check_ephemeral(gib: int) -> None:
    if gib < 21:
        raise client("EphemeralStorage size should be at least 21.")
    if gib > 200:
        raise client("EphemeralStorage size should be at most 200.")
