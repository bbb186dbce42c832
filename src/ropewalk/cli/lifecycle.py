"""`ropewalk up`, `down` and `reset`: flags in, progress out. What happens is in `daemon.start` and `daemon.stop`."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

from ropewalk.base.errors import Fault
from ropewalk.base.settings import DEFAULT_PORT, Settings, Timings, default_home
from ropewalk.cli.output import console, document, explained, output_option, say
from ropewalk.daemon.installation import Beacon, exclusive, load_settings

if TYPE_CHECKING:
    from rich.status import Status


class RichReporter:
    """Steps as a spinner where somebody watches, as plain lines where not."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._title = ""
        self._notes: list[str] = []
        self._console = console()

    def __enter__(self) -> RichReporter:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if error is None and self._title and self._status is not None:
            self._console.print(f"[green]✓[/] {self._title}")
        for note in self._notes:
            self._console.print(note, markup=False, soft_wrap=True)

    def step(self, title: str) -> None:
        if self._status is None:
            say(title)
        else:
            if self._title:
                self._console.print(f"[green]✓[/] {self._title}")
            self._status.update(title)
        self._title = title

    def detail(self, text: str, done: int = 0, total: int = 0) -> None:
        if self._status is not None:
            share = f" ({done} of {total})" if total else ""
            self._status.update(f"{self._title}: {text}{share}")

    def note(self, text: str) -> None:
        self._notes.append(text)


class QuietReporter:
    """For `--output json` and for the simulated mode, which is done before a spinner would turn."""

    def step(self, title: str) -> None: ...

    def detail(self, text: str, done: int = 0, total: int = 0) -> None: ...

    def note(self, text: str) -> None:
        say(text)


@contextmanager
def reporting(quiet: bool) -> Iterator[RichReporter | QuietReporter]:
    if quiet:
        yield QuietReporter()
        return
    with RichReporter() as reporter:
        yield reporter


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


def _settings(
    port: int, simulated: bool, any_credentials: bool, fargate_limits: str, time_scale: float, vpc_cidr: str, store: str
) -> Settings:
    return Settings(
        home=default_home(),
        port=port,
        simulated=simulated,
        accept_any_credentials=any_credentials,
        fargate_limits=fargate_limits,
        time_scale=time_scale,
        timings=Timings() if time_scale == 1.0 else Timings().scaled(time_scale),
        store=store,
        default_vpc_cidr=vpc_cidr,
    )


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
    "any_credentials",
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
    default="",
    callback=_range,
    help="Range of the default VPC, a /16; without it 172.31.0.0/16 or the next free one.",
)
@click.option(
    "--store", default="", help="etcd://HOST:PORT/PREFIX, sqlite:PATH or memory: ; without it a file in the home."
)
@output_option
def up(
    detach: bool,
    simulated: bool,
    port: int,
    images: str,
    any_credentials: bool,
    fargate_limits: str,
    time_scale: float,
    vpc_cidr: str,
    store: str,
    output: str,
) -> None:
    """Start Ropewalk, or attach to the one that runs. Ctrl-C only detaches."""
    settings = _settings(port, simulated, any_credentials, fargate_limits, time_scale, vpc_cidr, store)
    with explained():
        if simulated:
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
    import contextlib
    import subprocess

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
        from ropewalk.daemon.stop import forget

        forget(settings, parts)
    say(f"Forgotten: {settings.home}")
