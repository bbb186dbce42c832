"""What is said of a pod that the control plane itself ends.

https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""

from __future__ import annotations

from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, at, metadata, uid_of

TARGET = "DisruptionTarget"


def disrupted(pod: Object, reason: str, message: str, now: float) -> Object:
    """A patch of its status that says why it is to go. It names the version it was made of."""
    made: Object = {"type": TARGET, "status": "True", "reason": reason, "message": message}
    generation = metadata(pod).get("generation")
    if generation:
        made["observedGeneration"] = generation
    made["lastTransitionTime"] = times.rfc3339(now)
    listed = conditions.replaced(at(pod, "status", "conditions"), made)
    meta = {"uid": uid_of(pod), "resourceVersion": metadata(pod)["resourceVersion"]}
    return {"metadata": meta, "status": {"conditions": listed}}
