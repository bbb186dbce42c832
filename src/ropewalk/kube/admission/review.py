"""A request as webhooks and expressions see it: the AdmissionReview, and the `request` of CEL.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#request
"""

from __future__ import annotations

from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import ResourceInfo


def user_info(admission: Admission) -> Object:
    user = admission.user
    found: Object = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def _kind(admission: Admission, info: ResourceInfo) -> Object:
    kind = info.gvk if not admission.subresource else admission.kind
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(info: ResourceInfo) -> Object:
    return {"group": info.group, "version": info.version, "resource": info.plural}


def request_of(admission: Admission, info: ResourceInfo) -> Object:
    """Without the objects. `info` is the version in which the rule matched."""
    found: Object = {
        "kind": _kind(admission, info),
        "resource": _resource(info),
        "requestKind": _kind(admission, admission.info),
        "requestResource": _resource(admission.info),
        "operation": admission.operation,
        "userInfo": user_info(admission),
        "dryRun": admission.dry_run,
        "options": admission.options,
    }
    if admission.subresource:
        found["subResource"] = found["requestSubResource"] = admission.subresource
    if admission.name:
        found["name"] = admission.name
    if admission.namespace:
        found["namespace"] = admission.namespace
    return found


def review_of(admission: Admission, info: ResourceInfo, uid: str, new: Object | None, old: Object | None) -> Object:
    request = {"uid": uid, **request_of(admission, info), "object": new, "oldObject": old}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
