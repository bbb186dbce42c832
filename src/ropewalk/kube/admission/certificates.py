"""Who may approve and sign certificates, and attest bundles of trust; and a signer that never makes administrators.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificateapproval
"""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

from ropewalk.kube.admission.plugin import CREATE, UPDATE, WRITES, Plugin, forbidden, quoted
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.requests import Attributes
from ropewalk.kube.machinery.resources import GroupResource

REQUESTS = GroupResource("certificates.k8s.io", "certificatesigningrequests")
BUNDLES = GroupResource("certificates.k8s.io", "clustertrustbundles")
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


async def may(authorizer: Authorizer, admission: Admission, verb: str, signer: str) -> bool:
    """Whether the user may do this for the signer, or for its whole domain."""
    for name in (signer, signer.partition("/")[0] + "/*"):
        asked = Attributes(
            admission.user, verb, "", group="certificates.k8s.io", version="*", resource="signers", name=name
        )
        if (await authorizer.authorize(asked)).verdict is Verdict.ALLOW:
            return True
    return False


class CertificateApproval(Plugin):
    name: ClassVar[str] = "CertificateApproval"
    operations: ClassVar[frozenset[str]] = UPDATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({REQUESTS})
    subresources: ClassVar[frozenset[str] | None] = frozenset({"approval"})
    validates: ClassVar[bool] = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, admission: Admission) -> None:
        signer = at(admission.old, "spec", "signerName") or ""
        if not await may(self._authorizer, admission, "approve", signer):
            raise forbidden(admission, f"user not permitted to approve requests with signerName {quoted(signer)}")


class CertificateSigning(Plugin):
    name: ClassVar[str] = "CertificateSigning"
    operations: ClassVar[frozenset[str]] = UPDATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({REQUESTS})
    subresources: ClassVar[frozenset[str] | None] = frozenset({"status"})
    validates: ClassVar[bool] = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, admission: Admission) -> None:
        new, old = at(admission.object, "status") or {}, at(admission.old, "status") or {}
        if all((new.get(field) or None) == (old.get(field) or None) for field in ("certificate", "conditions")):
            return
        signer = at(admission.old, "spec", "signerName") or ""
        if not await may(self._authorizer, admission, "sign", signer):
            raise forbidden(admission, f"user not permitted to sign requests with signerName {quoted(signer)}")


class ClusterTrustBundleAttest(Plugin):
    name: ClassVar[str] = "ClusterTrustBundleAttest"
    operations: ClassVar[frozenset[str]] = WRITES
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({BUNDLES})
    validates: ClassVar[bool] = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, admission: Admission) -> None:
        signer = at(admission.object, "spec", "signerName")
        if not signer or (admission.operation == "UPDATE" and _only_collecting(admission.object, admission.old)):
            return
        if not await may(self._authorizer, admission, "attest", signer):
            raise forbidden(admission, f"user not permitted to attest for signerName {quoted(signer)}")


_COLLECTED = frozenset({"ownerReferences", "finalizers", "managedFields"})


def _only_collecting(new: Object | None, old: Object | None) -> bool:
    """Nothing changed but what the garbage collector may change."""
    if new is None or old is None:
        return False
    bare = [{key: value for key, value in metadata(one).items() if key not in _COLLECTED} for one in (new, old)]
    return bare[0] == bare[1] and {**new, "metadata": None} == {**old, "metadata": None}


class CertificateSubjectRestriction(Plugin):
    name: ClassVar[str] = "CertificateSubjectRestriction"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({REQUESTS})
    validates: ClassVar[bool] = True

    async def validate(self, admission: Admission) -> None:
        if at(admission.object, "spec", "signerName") != CLIENT_SIGNER:
            return
        try:
            organizations = _organizations(
                base64.b64decode(at(admission.object, "spec", "request") or "", validate=True)
            )
        except (ValueError, binascii.Error) as error:
            raise forbidden(admission, f"failed to parse CSR: {error}") from None
        if "system:masters" in organizations:
            why = f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed"
            raise forbidden(admission, why)


def _organizations(request: bytes) -> list[str]:
    """Imports `cryptography` late: it is slow to load, and certificates are rare."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_csr(request).subject
    except ValueError:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST") from None
    return [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
