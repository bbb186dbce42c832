"""Names and ARNs of ECS resources: parsed once, here, from whatever form a caller used.

Every resource may be named by its short name or its full ARN; a short name means this account and region.
Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-resource-ids.html (long ARN formats only: they are
mandatory since 2021).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ropewalk.services.ecs.faults import cluster_not_found, invalid

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
_TASK_ID = re.compile(r"[a-f0-9]{32}\Z|[a-f0-9-]{36}\Z")
_DEFINITION = re.compile(r"([A-Za-z0-9_-]{1,255})(?::([1-9][0-9]{0,9}))?\Z")
"""A revision has one spelling, so that a policy that denies it denies it always."""

DEFAULT_CLUSTER = "default"


@dataclass(frozen=True, slots=True)
class Arns:
    """ARNs of one account and region."""

    account: str
    region: str

    @property
    def prefix(self) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account}:"

    def cluster(self, name: str) -> str:
        return f"{self.prefix}cluster/{name}"

    def task(self, cluster: str, task: str) -> str:
        return f"{self.prefix}task/{cluster}/{task}"

    def container(self, cluster: str, task: str, container: str) -> str:
        return f"{self.prefix}container/{cluster}/{task}/{container}"

    def definition(self, family: str, revision: int) -> str:
        return f"{self.prefix}task-definition/{family}:{revision}"

    def capacity_provider(self, name: str) -> str:
        return f"{self.prefix}capacity-provider/{name}"

    def strip(self, text: str, kind: str) -> str:
        """What follows `kind/` in an ARN of ours; any other text as it is.

        Raises InvalidParameterException for an ARN of another kind, account or region.
        """
        if not text.startswith("arn:"):
            return text
        expected = f"{self.prefix}{kind}/"
        if text.startswith(expected):
            return text[len(expected) :]
        parts = text.split(":", 5)
        if len(parts) < 6 or parts[2] != "ecs":
            raise invalid("Invalid identifier: Unexpected service or malformed ARN.")
        if parts[4] != self.account or parts[3] != self.region:
            raise invalid(
                f"Invalid identifier: {text} is of another account or region than {self.account} in {self.region}."
            )
        raise invalid(f"Invalid identifier: Identifier is for {parts[5].split('/')[0]}. Your request expected {kind}.")


def cluster_name(arns: Arns, text: str | None) -> str:
    """The short name that `cluster` (a name, an ARN, or nothing) means. Raises where it can be no cluster's."""
    name = arns.strip(text, "cluster") if text else DEFAULT_CLUSTER
    if not NAME.match(name):
        raise cluster_not_found() if text and text.startswith("arn:") else invalid("Invalid cluster name.")
    return name


def task_id(arns: Arns, cluster: str, text: str) -> str | None:
    """The id that `text` means in `cluster`; None where it names a task of another cluster.

    Raises InvalidParameterException for text that can be no task's name.
    """
    rest = arns.strip(text, "task")
    owner, slash, identifier = rest.rpartition("/")
    if not _TASK_ID.match(identifier):
        raise invalid(
            "taskId length should be one of [32,36]" if not slash else "Invalid identifier: malformed task ARN."
        )
    if slash and owner != cluster:
        return None
    return identifier


def definition_name(arns: Arns, text: str) -> tuple[str, int | None] | None:
    """Family and revision (None: the latest active one); None for text that can name no task definition."""
    match = _DEFINITION.match(arns.strip(text, "task-definition"))
    if match is None:
        return None
    return match[1], None if match[2] is None else int(match[2])
