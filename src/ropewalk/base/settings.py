"""What an installation is configured to be: one frozen record, read once, passed down.

Durations of AWS and Kubernetes that a user waits for are named in `Timings` with their real defaults; `scaled` shortens
all of them for tests and `--time-scale`. Load, probes, stop time-outs and billing are not here: they stay real.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from ropewalk.base import home as where


@dataclass(frozen=True, slots=True)
class Timings:
    """Waiting periods in seconds."""

    stopped_task_retention: float = 3600.0
    """ECS keeps a stopped task describable for at least an hour."""
    deleted_interface_grace: float = 0.0
    """How long an interface lingers after its task stopped."""

    def scaled(self, factor: float) -> Timings:
        """The same periods, `factor` times shorter."""
        values = {f.name: getattr(self, f.name) / factor for f in dataclasses.fields(self)}
        return Timings(**values)


SYSTEM_HOME = Path(where.SYSTEM_HOME)
DEFAULT_PORT = 4566
"""Where tools made for this kind of endpoint look first."""
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"
DEFAULT_CIDR = "172.31.0.0/16"
"""Of the default VPC, as in every AWS account."""


def default_home() -> Path:
    return Path(where.default_home())


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation."""

    home: Path = field(default_factory=default_home)
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    zones: tuple[str, ...] = ("us-east-1a", "us-east-1b", "us-east-1c")
    port: int = DEFAULT_PORT
    default_vpc_cidr: str = DEFAULT_CIDR
    simulated: bool = False
    accept_any_credentials: bool = False
    fargate_limits: str = "lecture"
    """"lecture": at most 4 vCPU and 30 GB; "aws": at most 16 vCPU and 120 GB."""
    timings: Timings = field(default_factory=Timings)
    time_scale: float = 1.0

    store: str = ""
    """"etcd://HOST:PORT/PREFIX", "sqlite:PATH" or "memory:"; "" is an SQLite file in the home."""
    mirror: str = ""
    """"host:port" of a registry that stands in for every other; "" pulls from the real ones."""
    upstream_resolver: str = ""
    """Where the VPC resolver forwards names it does not know; "" answers that there is no such name."""

    @property
    def run(self) -> Path:
        """See `base.home.run_folder`."""
        return Path(where.run_folder(str(self.home)))

    @property
    def logs(self) -> Path:
        """What our processes print."""
        return self.home / "log"

    @property
    def agent_socket(self) -> Path:
        """Where agents dial the aws process."""
        return self.run / "agents.sock"

    @property
    def host_socket(self) -> Path:
        """Where machine agents and the control plane dial the host agent."""
        return self.run / "host.sock"

    @property
    def endpoint(self) -> str:
        """The AWS endpoint as seen on this host."""
        return f"http://127.0.0.1:{self.port}"
