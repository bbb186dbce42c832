"""The group `admissionregistration.k8s.io`."""

from __future__ import annotations

from ropewalk.kube.kinds.admissionregistration.expressions import Compiler, anything
from ropewalk.kube.kinds.admissionregistration.mutating_policies import (
    MutatingAdmissionPolicies,
    MutatingAdmissionPolicyBindings,
)
from ropewalk.kube.kinds.admissionregistration.validating_policies import (
    ValidatingAdmissionPolicies,
    ValidatingAdmissionPolicyBindings,
)
from ropewalk.kube.kinds.admissionregistration.webhooks import (
    MutatingWebhookConfigurations,
    ValidatingWebhookConfigurations,
)
from ropewalk.kube.machinery.strategy import Strategy


def strategies(compiler: Compiler = anything) -> dict[str, Strategy]:
    """With what compiles the CEL expressions of these kinds."""
    return {
        "mutatingadmissionpolicies": MutatingAdmissionPolicies(compiler),
        "mutatingadmissionpolicybindings": MutatingAdmissionPolicyBindings(),
        "mutatingwebhookconfigurations": MutatingWebhookConfigurations(compiler),
        "validatingadmissionpolicies": ValidatingAdmissionPolicies(compiler),
        "validatingadmissionpolicybindings": ValidatingAdmissionPolicyBindings(),
        "validatingwebhookconfigurations": ValidatingWebhookConfigurations(compiler),
    }


STRATEGIES: dict[str, Strategy] = strategies()
"""Expressions pass unread: for an installation's own server take `strategies(compiler)`."""
