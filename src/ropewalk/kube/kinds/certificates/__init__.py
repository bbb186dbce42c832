"""The group `certificates.k8s.io`. Trust bundles and pod certificates are not stable in 1.35, and not served."""

from __future__ import annotations

from ropewalk.kube.kinds.certificates.certificate_signing_requests import CertificateSigningRequests
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"certificatesigningrequests": CertificateSigningRequests()}
