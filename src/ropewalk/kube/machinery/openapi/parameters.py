"""The parameters that operations share, described once.

https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str
    """string, integer or boolean."""
    description: str
    place: str = "query"
    """query or path; what stands in a path is required."""


NAME = Parameter("name", "string", "name of the {kind}", "path")
NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path")
PROXIED_PATH = Parameter("path", "string", "path to the resource", "path")
PRETTY = Parameter("pretty", "string", "If 'true', the answer is laid out for people to read.")

_DRY_RUN = Parameter("dryRun", "string", "'All' runs every stage of the request but does not persist its outcome.")
_FIELD_MANAGER = Parameter(
    "fieldManager", "string", "Who is making this change: becomes the owner of the fields it sets. Required for apply."
)
_FIELD_VALIDATION = Parameter(
    "fieldValidation",
    "string",
    "What to do about unknown and duplicate fields: Ignore drops them silently, Warn (the default) drops them with a"
    " warning, Strict refuses the request.",
)
_FORCE = Parameter("force", "boolean", "Take over fields that other managers own. Allowed for apply patches only.")
_CONTINUE = Parameter(
    "continue", "string", "The token that an earlier, limited list returned: asks for what comes after it."
)
_FIELD_SELECTOR = Parameter("fieldSelector", "string", "Restricts the objects by their fields. Defaults to everything.")
_LABEL_SELECTOR = Parameter("labelSelector", "string", "Restricts the objects by their labels. Defaults to everything.")
_LIMIT = Parameter("limit", "integer", "The most objects to return; more are told by a continue token.")
_RESOURCE_VERSION = Parameter(
    "resourceVersion",
    "string",
    "How recent the data must be, or where a watch begins. See"
    " https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions",
)
_RESOURCE_VERSION_MATCH = Parameter(
    "resourceVersionMatch", "string", "How a list reads resourceVersion: Exact or NotOlderThan."
)
_SEND_INITIAL_EVENTS = Parameter(
    "sendInitialEvents",
    "boolean",
    "A watch begins with the present objects, then a bookmark annotated k8s.io/initial-events-end.",
)
_TIMEOUT = Parameter("timeoutSeconds", "integer", "Ends the list or watch after that time.")
_WATCH = Parameter("watch", "boolean", "Return a stream of changes instead of a list.")
_BOOKMARKS = Parameter("allowWatchBookmarks", "boolean", "Send BOOKMARK events in a watch.")
_GRACE = Parameter(
    "gracePeriodSeconds", "integer", "Seconds that the object has to end on its own; zero deletes at once."
)
_UNSAFE = Parameter(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Delete an object even though what is stored of it cannot be read.",
)
_ORPHAN = Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy.")
_PROPAGATION = Parameter(
    "propagationPolicy", "string", "What becomes of dependent objects: Orphan, Background or Foreground."
)

WRITE = (_DRY_RUN, _FIELD_MANAGER, _FIELD_VALIDATION)
PATCH = (*WRITE, _FORCE)
DELETE = (_DRY_RUN, _GRACE, _UNSAFE, _ORPHAN, _PROPAGATION)
_SELECT = (
    _CONTINUE,
    _FIELD_SELECTOR,
    _LABEL_SELECTOR,
    _LIMIT,
    _RESOURCE_VERSION,
    _RESOURCE_VERSION_MATCH,
    _SEND_INITIAL_EVENTS,
    _TIMEOUT,
)
LIST = (_BOOKMARKS, *_SELECT, _WATCH)
DELETE_COLLECTION = (*_SELECT, *DELETE)
