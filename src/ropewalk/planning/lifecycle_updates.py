"""What a later record of a workload may change while it runs. Pure.

What a workload runs is fixed when it is accepted. A later record may stop it, may change what is only said of it
(labels, credentials), and what is given to it from outside: the files of its volumes at once, a container's environment
and what holds it back from its next start. Anything else is refused whole: half a change would be a workload that
nobody asked for.
"""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.model.workload import Container, Volume, Workload


def updated(held: Workload, wanted: Workload) -> Workload | None:
    """`wanted`, where it differs from `held` only in what may change; else None."""
    if len(held.containers) != len(wanted.containers) or len(held.volumes) != len(wanted.volumes):
        return None
    containers = tuple(_container(old, new) for old, new in zip(held.containers, wanted.containers, strict=True))
    merged = replace(
        held,
        generation=wanted.generation,
        labels=wanted.labels,
        credentials=wanted.credentials,
        machine=wanted.machine,
        stop_timeout=wanted.stop_timeout,
        active_seconds=wanted.active_seconds,
        logins=wanted.logins,
        containers=containers,
        volumes=tuple(_volume(old, new) for old, new in zip(held.volumes, wanted.volumes, strict=True)),
    )
    if merged != wanted:
        return None
    volumes = tuple(
        old if new.hold and not old.hold else new for old, new in zip(held.volumes, wanted.volumes, strict=True)
    )
    return replace(merged, volumes=volumes)


def _volume(held: Volume, wanted: Volume) -> Volume:
    """What its control plane gives, and changes while it is read."""
    return replace(held, files=wanted.files, version=wanted.version, hold=wanted.hold)


def _container(held: Container, wanted: Container) -> Container:
    """What counts from its next start; `command` and `arguments` because variables are expanded in them."""
    return replace(
        held,
        environment=wanted.environment,
        command=wanted.command,
        arguments=wanted.arguments,
        hold=wanted.hold,
    )
