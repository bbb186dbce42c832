"""What an apply answers when it would change what others own.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""

from __future__ import annotations

from ropewalk.kube.machinery.apply.field_sets import FieldSet, path_text, paths
from ropewalk.kube.machinery.apply.managers import UPDATE, Identity
from ropewalk.kube.machinery.errors import Cause, Details, StatusFault


def conflict_fault(conflicts: dict[Identity, FieldSet]) -> StatusFault:
    """409, with one cause a field and manager."""
    found = [(who, path_text(path)) for who, fields in conflicts.items() for path in paths(fields)]
    causes = tuple(Cause("FieldManagerConflict", f"conflict with {_named(who)}", path) for who, path in found)
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {_named(found[0][0])}: {found[0][1]}"
    else:
        lines = []
        for who in conflicts:
            lines.append(f"conflicts with {_named(who)}:")
            lines.extend(f"- {path}" for owner, path in found if owner == who)
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusFault("Conflict", message, status=409, details=Details(causes=causes))


def _named(who: Identity) -> str:
    text = f'"{who.manager}"'
    if who.subresource:
        text += f' with subresource "{who.subresource}"'
    return f"{text} using {who.api_version}" if who.operation == UPDATE else text
