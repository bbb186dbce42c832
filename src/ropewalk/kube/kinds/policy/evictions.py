"""Eviction: the body of `pods/eviction`. A request, stored nowhere.
https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, metadata


def check_eviction(eviction: Object, pod: str) -> None:
    """Refuse what names another pod than the URL does."""
    if metadata(eviction).get("name", "") != pod:
        raise errors.bad_request("name in URL does not match name in Eviction object")
