"""Standalone Kubernetes clusters of this user: each an installation of its own, in a folder of its own.

`<home>/kube/<name>` holds the cluster's certificates, its store, its log and its kubeconfig; its process is found again
by pid and start time, as every process of ours.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.daemon import early, kube_forks, ports
from ropewalk.daemon.installation import exclusive, invoker, save_settings, write_private
from ropewalk.daemon.processes import DetachedProcess, own_command

READY_WITHIN = 30.0
FIRST_PORT = 6443
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class KubeCluster(msgspec.Struct, frozen=True):
    """What a standalone cluster was started as."""

    name: str
    port: int
    store: str = ""
    """"etcd://HOST:PORT/PREFIX"; "" is an SQLite file in its folder."""
    service_range: str = "10.96.0.0/16"
    advertised: str = ""
    """Address at which nodes and pods reach it; "" for none."""
    audit_policy: str = ""
    """Path of a policy file; "" for our own."""
    simulated_nodes: int = 0
    replica: int = 0
    """Several servers may serve one store: each has a folder of its own, and the first one's keys."""


def folder_of(home: Path, name: str) -> Path:
    return home / "kube" / name


def settings_of(home: Path, name: str) -> Settings:
    return Settings(home=folder_of(home, name))


def cluster_file(folder: Path) -> Path:
    return folder / "cluster.json"


def kubeconfig_file(folder: Path) -> Path:
    return folder / "kubeconfig"


def load(folder: Path) -> KubeCluster | None:
    try:
        return msgspec.json.decode(cluster_file(folder).read_bytes(), type=KubeCluster)
    except FileNotFoundError:
        return None


def process_of(settings: Settings) -> DetachedProcess:
    return DetachedProcess("kube", settings.run, settings.logs)


def all_clusters(home: Path) -> Iterator[tuple[KubeCluster, bool]]:
    """Every cluster of this home, and whether it runs."""
    for path in sorted((home / "kube").glob("*/cluster.json")):
        found = load(path.parent)
        if found is not None:
            yield found, process_of(settings_of(home, found.name)).record() is not None


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Fault("InvalidName", f"{name!r} is no cluster name: lower-case letters, digits and dashes, at most 63.")


def replica_settings(home: Path, name: str, replica: int) -> Settings:
    """The first replica lives in the cluster's folder, the others in folders below it."""
    folder = folder_of(home, name)
    return Settings(home=folder / f"replica-{replica}" if replica else folder)


def keys_folder(settings: Settings, cluster: KubeCluster) -> Path:
    """The cluster's certificates and keys, which its replicas share."""
    return (settings.home.parent if cluster.replica else settings.home) / "pki"


def start(home: Path, wanted: KubeCluster, replicas: int = 1) -> Path:
    """Start the cluster, or attach to it; answers its kubeconfig once `kubectl` gets an answer. Raises `Fault`.

    Replicas listen on the ports from the first one's on.
    """
    check_name(wanted.name)
    if replicas > 1 and not wanted.store.startswith("etcd://"):
        raise Fault("NoSharedStore", "Several servers need a store that they can share: add --etcd HOST:PORT")
    for replica in range(replicas):
        each = msgspec.structs.replace(wanted, replica=replica, port=wanted.port + replica)
        _start_replica(home, replica_settings(home, wanted.name, replica), each)
    return kubeconfig_file(folder_of(home, wanted.name))


def _start_replica(home: Path, settings: Settings, wanted: KubeCluster) -> None:
    with exclusive(settings):
        process = process_of(settings)
        before = load(settings.home)
        if process.record() is not None:
            if before is not None and before != wanted:
                raise Fault(
                    "AlreadyRunning",
                    f"Cluster {wanted.name} runs with other options. First: ropewalk kube down {wanted.name}",
                )
        else:
            if (holder := ports.owner(wanted.port)) is not None:
                raise Fault(
                    "PortBusy",
                    f"Port {wanted.port} is taken by {holder}."
                    f" Take another: ropewalk kube --standalone --port {wanted.port + 1}",
                )
            save_settings(settings)
            write_private(cluster_file(settings.home), msgspec.json.encode(wanted))
            kubeconfig_file(settings.home).unlink(missing_ok=True)
            if not (early.hand_over(process, settings.home) or kube_forks.fork(home, process, settings.home)):
                process.start(own_command("kube", settings.home))
        _wait(settings, wanted, process)


def stop(home: Path, name: str) -> None:
    """Stop the cluster; its state stays. Raises `Fault` where there is none."""
    settings = settings_of(home, name)
    if load(settings.home) is None:
        raise Fault("NotFound", f"There is no cluster {name} in {home}. List them: ropewalk kube list")
    others = [Settings(home=path.parent) for path in settings.home.glob("replica-*/cluster.json")]
    for each in (*others, settings):
        with exclusive(each):
            process_of(each).stop()


def forget(home: Path, name: str) -> None:
    """Stop it and remove all of it."""
    import shutil

    stop(home, name)
    shutil.rmtree(folder_of(home, name))


def end_all(home: Path, forgetting: bool) -> None:
    """Stop every cluster of this home, and the process that they start from."""
    for cluster, _ in list(all_clusters(home)):
        (forget if forgetting else stop)(home, cluster.name)
    kube_forks.stop(home)


def give_to_invoker(path: Path) -> None:
    """The kubeconfig is the person's who ran the command, also through sudo."""
    import os

    person = invoker()
    if os.geteuid() == 0 and person.uid != 0:
        os.chown(path, person.uid, person.gid)


def _wait(settings: Settings, cluster: KubeCluster, process: DetachedProcess) -> None:
    from ropewalk.base.clock import SystemClock

    clock = SystemClock()
    until = clock.monotonic() + READY_WITHIN
    while clock.monotonic() < until and process.record() is not None:
        if kubeconfig_file(settings.home).exists() and _listens(cluster.port):
            return
        clock.pause(0.005)
    raise Fault("NotReady", f"Cluster {cluster.name} did not come up. Its last words:\n{process.tail(8)}")


def _listens(port: int) -> bool:
    """Whether it takes connections. That it is ready the kubeconfig says, which a server writes last of all: asking it
    would take longer than its start, for what a client's TLS takes to import.
    """
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2.0):
        return True
    return False
