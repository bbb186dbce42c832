"""DefaultIngressClass: an ingress that names no class gets the default one.
https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import CREATE, Plugin, ready
from ropewalk.kube.admission.storage import newest
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import annotations_of, name_of
from ropewalk.kube.machinery.resources import GroupResource

INGRESSES = GroupResource("networking.k8s.io", "ingresses")
INGRESS_CLASSES = GroupResource("networking.k8s.io", "ingressclasses")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass(Plugin):
    name: ClassVar[str] = "DefaultIngressClass"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({INGRESSES})
    mutates: ClassVar[bool] = True

    def __init__(self, api: Api) -> None:
        self._api = api

    async def mutate(self, admission: Admission) -> None:
        ingress = admission.object
        assert ingress is not None
        spec = ingress.setdefault("spec", {})
        if "ingressClassName" in spec or CLASS_ANNOTATION in annotations_of(ingress):
            return
        classes = (await ready(self._api, INGRESS_CLASSES)).all()
        found = newest([one for one in classes if annotations_of(one).get(DEFAULT_ANNOTATION) == "true"])
        if found is not None:
            spec["ingressClassName"] = name_of(found)
