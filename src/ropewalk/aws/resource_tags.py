"""What conditions may ask about the tags that a resource has: `aws:ResourceTag/KEY`, and a service's own name for it.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (aws:ResourceTag). Some services
know the same tags by an older key as well (`ec2:ResourceTag/KEY`); the Service Authorization Reference says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def resource_tags(tags: Iterable[tuple[str, str]], *prefixes: str) -> dict[str, Sequence[str]]:
    """Condition keys with their values. `prefixes` are those beside "aws" that the service knows ("ec2")."""
    return {f"{prefix}:ResourceTag/{key}": (value,) for key, value in tags for prefix in ("aws", *prefixes)}
