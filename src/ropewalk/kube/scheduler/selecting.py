"""Which pods belong together by default: those of the same services and the same controller.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#internal-default-constraints
"""

from __future__ import annotations

from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, controller_of, labels_of, namespace_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import EVERYTHING, LabelSelector, label_selector_of, of_labels

SERVICES = GroupResource("", "services")
CONTROLLERS = {
    ("v1", "ReplicationController"): GroupResource("", "replicationcontrollers"),
    ("apps/v1", "ReplicaSet"): GroupResource("apps", "replicasets"),
    ("apps/v1", "StatefulSet"): GroupResource("apps", "statefulsets"),
}


class DefaultSelectors:
    """Answers from the caches. Those of controllers are asked for only where pods have such."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def of(self, pod: Object) -> LabelSelector:
        """`EVERYTHING` where the pod belongs to nothing."""
        namespace = namespace_of(pod)
        wanted: dict[str, str] = {}
        for service in self._api.cache(SERVICES).all(namespace):
            selector = at(service, "spec", "selector")
            if selector is not None and of_labels(selector).matches(labels_of(pod)):
                wanted |= selector
        owner = controller_of(pod)
        if owner is None:
            return of_labels(wanted) if wanted else EVERYTHING
        resource = CONTROLLERS.get((owner.get("apiVersion", ""), owner.get("kind", "")))
        found = None if resource is None else self._api.cache(resource).get(namespace, owner.get("name", ""))
        given = at(found, "spec", "selector")
        if given is None:
            return of_labels(wanted) if wanted else EVERYTHING
        if resource == CONTROLLERS["v1", "ReplicationController"]:
            wanted |= given
            return of_labels(wanted) if wanted else EVERYTHING
        of_controller = label_selector_of(given)
        if not wanted:
            return of_controller
        both = sorted((*of_labels(wanted).requirements, *of_controller.requirements), key=lambda found: found.key)
        return LabelSelector(tuple(both))
