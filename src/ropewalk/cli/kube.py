"""`ropewalk kube`: a Kubernetes cluster alone, for those who want only that."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import click

from ropewalk.base.errors import Fault
from ropewalk.base.settings import default_home
from ropewalk.cli.output import document, explained, output_option, say
from ropewalk.daemon import kube_clusters
from ropewalk.daemon.kube_clusters import FIRST_PORT, KubeCluster


def _policy(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """The file's whole path, once it has been read and understood."""
    if not given:
        return ""
    from ropewalk.kube.security.audit_policy import PolicyError, parse_policy

    path = Path(given).resolve()
    try:
        parse_policy(path.read_bytes())
    except (OSError, PolicyError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    return str(path)


@click.group(invoke_without_command=True)
@click.option("--standalone", is_flag=True, help="Start one cluster by itself, or attach to it.")
@click.option("--name", default="ropewalk", show_default=True, help="Of the cluster, and of its kubeconfig's context.")
@click.option("--port", type=click.IntRange(1, 65535), default=FIRST_PORT, show_default=True, help="On 127.0.0.1.")
@click.option("--etcd", default="", metavar="HOST:PORT[/PREFIX]", help="Keep the state there instead of in a file.")
@click.option(
    "--replicas",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="API servers of one cluster, on the ports from --port on; one of them leads. Needs --etcd.",
)
@click.option("--advertise-address", "advertised", default="", help="Where nodes and pods reach it, if they can.")
@click.option("--audit-policy", default="", callback=_policy, help="File of an audit.k8s.io/v1 Policy.")
@click.option(
    "--simulated-nodes",
    type=click.IntRange(0, 5000),
    default=0,
    show_default=True,
    help="Fake Ready nodes: pods are bound and complete, nothing really runs.",
)
@click.option("--detach", is_flag=True, help="Return once it is ready, instead of following its log.")
@output_option
@click.pass_context
def kube(
    context: click.Context,
    /,
    standalone: bool,
    name: str,
    port: int,
    etcd: str,
    replicas: int,
    advertised: str,
    audit_policy: str,
    simulated_nodes: int,
    detach: bool,
    output: str,
) -> None:
    """A Kubernetes cluster alone. Ctrl-C only detaches.

    \b
    ropewalk kube --standalone
    export KUBECONFIG=$(ropewalk kube config)
    kubectl get namespaces
    """
    if context.invoked_subcommand is not None:
        return
    with explained():
        if not standalone:
            raise Fault("NotOffered", "Say which: ropewalk kube --standalone. (Clusters of EKS are not there yet.)")
        home = default_home()
        store = _store(etcd, name)
        wanted = KubeCluster(
            name,
            port,
            store,
            advertised=advertised,
            audit_policy=audit_policy,
            simulated_nodes=simulated_nodes,
        )
        path = kube_clusters.start(home, wanted, replicas)
        _announce(wanted, path, output)
        if not detach and output == "text":
            _follow(kube_clusters.process_of(kube_clusters.settings_of(home, name)).log_file)


def _store(etcd: str, name: str) -> str:
    if not etcd:
        return ""
    address, _, prefix = etcd.removeprefix("etcd://").partition("/")
    return f"etcd://{address}/{prefix or f'ropewalk/kube/{name}'}"


def _announce(cluster: KubeCluster, path: Path, output: str) -> None:
    if output == "json":
        document({"name": cluster.name, "server": f"https://127.0.0.1:{cluster.port}", "kubeconfig": str(path)})
        return
    say(f"Cluster {cluster.name} answers at https://127.0.0.1:{cluster.port}.")
    if cluster.simulated_nodes:
        say(f"{cluster.simulated_nodes} simulated nodes: pods are fakes; nothing really runs.")
    say(f"Use it:  export KUBECONFIG={path}     Stop it:  ropewalk kube down {cluster.name}")


def _follow(log: Path) -> None:
    say("Following the log. Ctrl-C detaches; everything goes on running.")
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(["tail", "--lines=0", "--follow=name", str(log)], check=False)
    say("Detached.")


@kube.command()
@click.argument("name", default="ropewalk")
@click.option("--all", "everyone", is_flag=True, help="Every cluster of this home, and the nursery.")
@click.option("--forget", is_flag=True, help="Also remove its state, certificates and log.")
def down(name: str, everyone: bool, forget: bool) -> None:
    """Stop a cluster. Its state stays, unless it is to be forgotten."""
    with explained():
        if everyone:
            kube_clusters.end_all(default_home(), forget)
        else:
            (kube_clusters.forget if forget else kube_clusters.stop)(default_home(), name)


@kube.command()
@click.option("--stop", is_flag=True, help="End it. Clusters that came from it go on.")
def nursery(stop: bool) -> None:
    """Keep a process warm from which clusters start at once: what they import, it has imported."""
    from ropewalk.daemon import kube_forks

    with explained():
        if stop:
            kube_forks.stop(default_home())
        else:
            kube_forks.start(default_home(), "ropewalk.cli.nursery")
            say("Clusters start from the nursery now. End it:  ropewalk kube nursery --stop")


@kube.command("list")
@output_option
def list_clusters(output: str) -> None:
    """The clusters of this home, and whether they run."""
    found = [
        {"name": cluster.name, "port": cluster.port, "running": running}
        for cluster, running in kube_clusters.all_clusters(default_home())
    ]
    if output == "json":
        document(found)
        return
    for cluster in found:
        click.echo(
            f"{cluster['name']:20} 127.0.0.1:{cluster['port']:<6} {'running' if cluster['running'] else 'stopped'}"
        )


@kube.command()
@click.argument("name", default="ropewalk")
def config(name: str) -> None:
    """Print where the cluster's kubeconfig is: export KUBECONFIG=$(ropewalk kube config)"""
    with explained():
        path = kube_clusters.kubeconfig_file(kube_clusters.folder_of(default_home(), name))
        if not path.exists():
            raise Fault("NotStarted", f"Cluster {name} has no kubeconfig. Start it: ropewalk kube --standalone")
        click.echo(path)
