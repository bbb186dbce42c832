"""`ropewalk up`, `down` and `reset`: flags in, progress out. What happens is in `daemon.start` and `daemon.stop`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shlex
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ropewalk.base.errors import Fault
from ropewalk.base.settings import DEFAULT_ACCOUNT, DEFAULT_PORT, DEFAULT_REGION, Settings, Timings, default_home
from ropewalk.cli.output import document, explained, output_option, say
from ropewalk.cli.progress import reporting
from ropewalk.daemon.installation import Beacon, alive, earlier, exclusive, load_settings


def _require_root(arguments: list[str]) -> None:
    if os.geteuid() == 0:
        return
    line = shlex.join(["sudo", *(_preserved()), str(Path(sys.argv[0]).resolve()), *arguments])
    raise Fault(
        "NotPermitted",
        f"Real containers need root. Run: {line}\nor, with no root and no containers: ropewalk up --simulated",
    )


def _preserved() -> list[str]:
    return ["--preserve-env=ROPEWALK_HOME"] if "ROPEWALK_HOME" in os.environ else []


def _store(context: click.Context, parameter: click.Parameter, given: str) -> str:
    if given and given != "memory:" and not given.startswith(("sqlite:/", "etcd://")):
        raise click.BadParameter(f"{given!r} names no store: write memory:, sqlite:/PATH or etcd://HOST:PORT/PREFIX.")
    return given


def _region(context: click.Context, parameter: click.Parameter, given: str) -> str:
    if re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", given) is None:
        raise click.BadParameter(f"{given!r} is not written like a region, such as eu-central-1.")
    return given


def _account(context: click.Context, parameter: click.Parameter, given: str) -> str:
    if re.fullmatch(r"[0-9]{12}", given) is None:
        raise click.BadParameter(f"{given!r} is not an account id: twelve digits.")
    return given


def _resolver(context: click.Context, parameter: click.Parameter, given: str) -> str:
    if given:
        try:
            IPv4Address(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return given


def _range(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """A default VPC is a /16, as in every AWS account: three subnets of a /20 go into it."""
    if not given:
        return ""
    try:
        network = IPv4Network(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if network.prefixlen != 16 or not network.is_private:
        raise click.BadParameter(f"{network} is not a private /16, such as 10.31.0.0/16.")
    return str(network)


_SWITCHES = frozenset({"simulated", "accept_any_credentials"})


def _is_left_out(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.DEFAULT


def _settings(context: click.Context, before: Settings | None, chosen: dict[str, Any]) -> Settings:
    """What the options say; what they leave out is as at the last start. `Any`: options are named as settings are.

    A switch holds only while it runs: there is no option to turn one off.
    """
    if before is not None:
        ended = _SWITCHES if not alive(before) else frozenset()
        left_out = [name for name in chosen if _is_left_out(context, name) and name not in ended]
        chosen = {**chosen, **{name: getattr(before, name) for name in left_out}}
    return Settings(
        home=default_home(),
        zones=tuple(chosen["region"] + letter for letter in "abc"),
        timings=Timings().scaled(chosen["time_scale"]),
        **chosen,
    )


@click.command()
@click.option("--detach", is_flag=True, help="Return once it is ready, instead of following its log.")
@click.option("--simulated", is_flag=True, help="Fake machines: no root, no containers; everything else is the same.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Of the AWS API.")
@click.option(
    "--images",
    type=click.Choice(["remote", "local"]),
    default="remote",
    show_default=True,
    help="local: a registry of our own stands in for every other, with nginx and busybox from Debian's packages.",
)
@click.option(
    "--accept-any-credentials",
    is_flag=True,
    help="On 127.0.0.1 only: take any key as the account's root. For test suites that use dummy keys.",
)
@click.option(
    "--fargate-limits",
    type=click.Choice(["lecture", "aws"]),
    default="lecture",
    show_default=True,
    help="lecture: at most 4 vCPU and 30 GB a task; aws: 16 vCPU and 120 GB.",
)
@click.option("--time-scale", type=click.FloatRange(1.0, 1000.0), default=1.0, help="Shorten AWS's waiting periods.")
@click.option(
    "--vpc-cidr",
    "default_vpc_cidr",
    default="",
    callback=_range,
    help="Range of the default VPC, a /16; without it 172.31.0.0/16 or the next free one.",
)
@click.option(
    "--store",
    default="",
    callback=_store,
    help="etcd://HOST:PORT/PREFIX, sqlite:/PATH or memory: ; without it a file in the home.",
)
@click.option("--region", default=DEFAULT_REGION, show_default=True, callback=_region, help="With zones a, b and c.")
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, callback=_account, help="Twelve digits.")
@click.option(
    "--resolver",
    "upstream_resolver",
    default="",
    callback=_resolver,
    help="Address of a name server for what a VPC does not know itself; without it such names do not exist.",
)
@output_option
@click.pass_context
def up(context: click.Context, /, detach: bool, images: str, output: str, **chosen: Any) -> None:
    """Start Ropewalk, or attach to the one that runs. Ctrl-C only detaches.

    An option that is left out stays as it was at the last start.
    """
    before = earlier(default_home())
    settings = _settings(context, before, chosen)
    if before is not None and before.mirror and _is_left_out(context, "images"):
        images = "local"
    with explained():
        if settings.simulated:
            from ropewalk.daemon.simulated import start_simulated

            with exclusive(settings):
                beacon = start_simulated(settings)
        else:
            _require_root(sys.argv[1:])
            from ropewalk.daemon.start import start

            with exclusive(settings), reporting(output == "json") as reporter:
                beacon = start(settings, images, reporter)
    _announce(beacon, output)
    if not detach and output == "text":
        _follow(settings)


def _announce(beacon: Beacon, output: str) -> None:
    if output == "json":
        document({"endpoint": beacon.endpoint, "region": beacon.region, "account": beacon.account})
        return
    say(f"Ropewalk answers at {beacon.endpoint} (account {beacon.account}, {beacon.region}).")
    if beacon.simulated:
        say("Simulated: machines and containers are fakes; nothing really runs.")
    if beacon.accept_any_credentials:
        say("WARNING: any credentials are accepted on this port, as the account's root.")
    say('Point your shell at it:  eval "$(ropewalk env)"     Stop it:  ropewalk down')


def _follow(settings: Settings) -> None:
    """Show the processes' logs until Ctrl-C."""
    files = sorted(str(path) for path in settings.logs.glob("*.log"))
    say("Following the log. Ctrl-C detaches; everything goes on running.")
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(["tail", "--quiet", "--lines=0", "--follow=name", *files], check=False)
    say("Detached.")


@click.command()
@click.option("--force", is_flag=True, help="Do not wait for tasks: kill what runs.")
def down(force: bool) -> None:
    """Stop every task with a reason, then everything else. The state stays; `up` goes on from it."""
    with explained():
        settings = load_settings(default_home())
        _stop(settings, force)


def _stop(settings: Settings, force: bool) -> None:
    from ropewalk.daemon.stop import stop

    if not settings.simulated:
        _require_root(sys.argv[1:])
    with exclusive(settings), reporting(quiet=False) as reporter:
        stop(settings, force, reporter)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--parts", is_flag=True, help="Also remove the unpacked programs and images.")
def reset(yes: bool, parts: bool) -> None:
    """Stop everything and forget everything: clusters, tasks, logs, keys."""
    with explained():
        try:
            settings = load_settings(default_home())
        except Fault:
            settings = dataclasses.replace(Settings(), home=default_home())
        if not yes:
            click.confirm(f"Forget everything in {settings.home}?", abort=True, err=True)
        _stop(settings, force=True)
        from ropewalk.daemon import kube_clusters
        from ropewalk.daemon.stop import forget

        kube_clusters.end_all(settings.home, forgetting=True)
        forget(settings, parts)
    say(f"Forgotten: {settings.home}")
