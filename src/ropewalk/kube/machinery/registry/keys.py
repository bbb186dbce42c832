"""Where an object is stored: `/registry/GROUP/RESOURCE[/NAMESPACE]/NAME`, the core group spelled "core".

Versions of a resource share its keys. Names hold no slash (checked before anything is stored), so that a prefix that
ends with one covers exactly a resource, or a resource in a namespace.
"""

from __future__ import annotations

from ropewalk.kube.machinery.resources import GroupResource

ROOT = "/registry/"


def prefix(resource: GroupResource, namespace: str | None = None) -> str:
    """Of all objects of the resource; in one namespace where given."""
    under = f"{ROOT}{resource.group or 'core'}/{resource.resource}/"
    return f"{under}{namespace}/" if namespace else under


def told(folder: str, namespace: str, name: str) -> str:
    """The key that kube-apiserver has for an object, of which some errors tell."""
    return f"{ROOT}{folder}/{namespace}/{name}" if namespace else f"{ROOT}{folder}/{name}"


def key(resource: GroupResource, namespace: str, name: str) -> str:
    """`namespace` is "" for what belongs to none."""
    return prefix(resource, namespace) + name
