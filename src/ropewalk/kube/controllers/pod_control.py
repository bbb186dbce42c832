"""Pods made and deleted for a controller, with the events that say so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.claims import controller_reference
from ropewalk.kube.controllers.expectations import Expectations
from ropewalk.kube.controllers.following import is_terminating
from ropewalk.kube.controllers.pod_book import PODS
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.recorder import Recorder

FIRST_BATCH = 1
LONGEST_NAME = 253
NEVER_HAPPENED = ("NotFound", "AlreadyExists", "Forbidden", "Invalid", "BadRequest", "Conflict", "TooManyRequests")
"""Faults that say that nothing was written; after any other it may have been."""


class NotDone(Exception):
    """A pod was not made or not deleted; its message is what conditions tell."""

    def __init__(self, message: str, *, in_doubt: bool) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt
        """It may have happened all the same."""


def pod_from(template: Object, owner: Object) -> Object:
    """The pod that `owner` makes of its template."""
    meta = metadata(template)
    prefix = f"{name_of(owner)}-"
    about: Object = {
        "generateName": prefix if len(prefix) <= LONGEST_NAME else name_of(owner),
        "namespace": namespace_of(owner),
        "ownerReferences": [controller_reference(owner)],
    }
    about |= {key: meta[key] for key in ("labels", "annotations", "finalizers") if meta.get(key)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template.get("spec") or {}}


class PodControl:
    """For one kind of controller."""

    def __init__(self, api: Api, recorder: Recorder, expectations: Expectations) -> None:
        self._api = api
        self._recorder = recorder
        self._expectations = expectations

    async def create(self, key: str, owner: Object, pod: Object) -> None:
        """Raises `NotDone`. In a namespace that is being deleted nothing happens."""
        if not metadata(pod).get("labels"):
            raise NotDone("unable to create pods, no labels", in_doubt=False)
        self._expectations.begin(key)
        try:
            made = await self._api.create(PODS, pod, namespace=namespace_of(owner))
            self._expectations.created(key, uid_of(made))
        except StatusFault as fault:
            if is_terminating(fault):
                return
            self._recorder.record(owner, "FailedCreate", f"Error creating: {fault.message}", warning=True)
            raise NotDone(fault.message, in_doubt=fault.reason not in NEVER_HAPPENED) from fault
        except Retryable as why:
            self._recorder.record(owner, "FailedCreate", f"Error creating: {why.reason}", warning=True)
            raise NotDone(why.reason, in_doubt=True) from why
        finally:
            self._expectations.end(key)
        self._recorder.record(owner, "SuccessfulCreate", f"Created pod: {name_of(made)}")

    async def delete(self, key: str, owner: Object, namespace: str, name: str, uid: str) -> None:
        """Raises `NotDone`; one that is gone is deleted."""
        self._expectations.begin(key)
        try:
            await self._api.delete(PODS, namespace, name, uid=uid)
            self._expectations.deleted(key, uid)
        except (StatusFault, Retryable) as why:
            if isinstance(why, StatusFault) and (why.status == 404 or why.reason == "Conflict"):
                return  # gone; another has its name
            message = why.message if isinstance(why, StatusFault) else why.reason
            self._recorder.record(owner, "FailedDelete", f"Error deleting: {message}", warning=True)
            raise NotDone(f"unable to delete pods: {message}", in_doubt=True) from why
        finally:
            self._expectations.end(key)
        self._recorder.record(owner, "SuccessfulDelete", f"Deleted pod: {name}")


async def slow_start(count: int, make: Callable[[], Awaitable[None]]) -> None:
    """`make` so many times: one alone, then twice as many at once each time all went well. Raises the first `NotDone`
    of a batch, after which no other is begun: what fails once would fail a thousand times.
    """
    size = min(count, FIRST_BATCH)
    while size > 0:
        await at_once([make() for _ in range(size)])
        count -= size
        size = min(2 * size, count)


async def at_once(steps: Sequence[Awaitable[None]]) -> None:
    """All of them; then the first failure, one in doubt before others."""
    answers = await asyncio.gather(*steps, return_exceptions=True)
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in sorted(failures, key=lambda found: not (isinstance(found, NotDone) and found.in_doubt)):
        raise failure
