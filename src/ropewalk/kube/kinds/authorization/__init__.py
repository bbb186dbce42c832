"""The group `authorization.k8s.io`: nothing of it is stored."""

from __future__ import annotations

from ropewalk.kube.kinds.authorization.reviews import (
    LocalSubjectAccessReviews,
    SelfSubjectAccessReviews,
    SelfSubjectRulesReviews,
    SubjectAccessReviews,
)
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "localsubjectaccessreviews": LocalSubjectAccessReviews(),
    "selfsubjectaccessreviews": SelfSubjectAccessReviews(),
    "selfsubjectrulesreviews": SelfSubjectRulesReviews(),
    "subjectaccessreviews": SubjectAccessReviews(),
}
