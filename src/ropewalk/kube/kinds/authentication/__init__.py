"""The group `authentication.k8s.io`: nothing of it is stored."""

from __future__ import annotations

from ropewalk.kube.kinds.authentication.reviews import SelfSubjectReviews, TokenReviews
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"selfsubjectreviews": SelfSubjectReviews(), "tokenreviews": TokenReviews()}
