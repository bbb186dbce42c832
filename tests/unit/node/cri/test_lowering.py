"""A workload in CRI's words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.workload import (
    EnvironmentVariable,
    InterfaceSpec,
    Isolation,
    Mount,
    NetworkMode,
    Resources,
    Ulimit,
)
from ropewalk.node.cri import adjust, lowering
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri.cgroups import Version
from ropewalk.node.runtime import ContainerSetup, CreateFailed, ImageInfo
from support.workloads import container, workload

IMAGE = ImageInfo("nginx:latest", "sha256:1", entrypoint=("/entry",), command=("nginx", "-g"))
INTERFACE = InterfaceSpec("eni-1", "v", "s", "10.0.0.5", "10.0.0.0/24", "10.0.0.1", "02::", "ip-10-0-0-5.ec2.internal")


def config(spec: object = None, version: Version = Version.ONE, files: object = None, **fields: object):  # type: ignore[no-untyped-def] # test
    one = spec or container(**fields)
    whole = workload("w", one, resources=Resources(cpu_millis=500, memory_bytes=1000))
    setup = ContainerSetup(environment=(("A", "agent"), ("B", "agent")), volumes={"data": "/srv/data"}, log_path="l")
    return lowering.container_config("box", whole, one, IMAGE, 2, setup, files or {}, version)


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        (None, None, ["/entry", "nginx", "-g"]),
        (None, ("x",), ["/entry", "x"]),
        (None, (), ["/entry"]),
        (("run",), None, ["run"]),
        (("run",), ("x",), ["run", "x"]),
        ((), None, ["/entry", "nginx", "-g"]),
    ],
)
def test_the_command_line_is_dockers(command: object, arguments: object, expected: list[str]) -> None:
    assert lowering.process(container(command=command, arguments=arguments), IMAGE) == expected


def test_no_command_at_all_is_refused_and_an_init_goes_before() -> None:
    with pytest.raises(CreateFailed, match="no command"):
        lowering.process(container(), ImageInfo("x", "sha256:1"))
    assert lowering.process(container(init=True), IMAGE)[:3] == [lowering.INIT_PATH, "--", "/entry"]


@pytest.mark.parametrize(
    ("user", "uid", "gid", "name"),
    [
        ("", None, None, ""),
        ("7", 7, None, ""),
        ("7:8", 7, 8, ""),
        ("www", None, None, "www"),
        ("www:adm", None, None, "www:adm"),
        ("7:adm", None, None, "7:adm"),
    ],
)
def test_users_as_docker_reads_them(user: str, uid: int | None, gid: int | None, name: str) -> None:
    context = config(user=user).linux.security_context
    assert (context.run_as_user.value if context.HasField("run_as_user") else None) == uid
    assert (context.run_as_group.value if context.HasField("run_as_group") else None) == gid
    assert context.run_as_username == name


def test_the_containers_own_variables_win() -> None:
    made = config(environment=(EnvironmentVariable("B", "own"), EnvironmentVariable("C", "own")))
    assert [(pair.key, pair.value) for pair in made.envs] == [("A", "agent"), ("B", "own"), ("C", "own")]


def test_volumes_lie_over_the_agents_files_and_must_exist() -> None:
    files = {"/etc/hosts": "/state/hosts", lowering.INIT_PATH: "/parts/init"}
    made = config(files=files, mounts=(Mount("data", "/etc/hosts", read_only=True),))
    assert [(m.container_path, m.host_path, m.readonly) for m in made.mounts] == [
        (lowering.INIT_PATH, "/parts/init", True),
        ("/etc/hosts", "/srv/data", True),
    ]
    with pytest.raises(CreateFailed, match="volume nowhere"):
        config(mounts=(Mount("nowhere", "/x"),))


def test_limits_are_clamped_and_reservations_said_where_they_can_be() -> None:
    resources = Resources(cpu_millis=900, cpu_shares=64, memory_bytes=4000, memory_reservation_bytes=300)
    one = config(resources=resources).linux.resources
    assert (one.cpu_quota, one.cpu_period, one.cpu_shares, one.memory_limit_in_bytes) == (50_000, 100_000, 64, 1000)
    assert dict(one.unified) == {}
    assert dict(config(resources=resources, version=Version.TWO).linux.resources.unified) == {"memory.low": "300"}


def test_containers_are_confined_unless_privileged() -> None:
    context = config(add_capabilities=("CAP_NET_ADMIN",), drop_capabilities=("ALL",)).linux.security_context
    assert "/proc/kcore" in context.masked_paths and "/proc/sys" in context.readonly_paths
    assert context.seccomp.profile_type == cri.SecurityProfile.RuntimeDefault
    assert list(context.capabilities.add_capabilities) == ["NET_ADMIN"]
    assert list(context.capabilities.drop_capabilities) == ["ALL"]
    free = config(privileged=True).linux.security_context
    assert free.privileged and not free.masked_paths
    assert free.seccomp.profile_type == cri.SecurityProfile.Unconfined


def test_ulimits_take_the_wrapper() -> None:
    spec = container(ulimits=(Ulimit("nofile", 1, 2),))
    assert json.loads(config(spec).annotations[adjust.RLIMITS]) == [["nofile", 1, 2]]
    assert lowering.handler(workload("w", spec)) == lowering.ADJUSTED
    assert lowering.handler(workload("w")) == lowering.PLAIN
    assert lowering.handler(workload("w", isolation=Isolation.OWN_KERNEL)) == lowering.OWN_KERNEL


def test_labels_tell_what_it_is() -> None:
    assert lowering.identity(config().labels) == ("aws", "w", "app", 2)
    box = lowering.sandbox_config(workload("w"), "/logs", 3, "/cg/w")
    assert lowering.identity(box.labels) == ("aws", "w", "w", 3)
    assert box.annotations[lowering.LOG_FOLDER] == "/logs" and box.linux.cgroup_parent == "/cg/w"


def test_network_modes() -> None:
    def box(**fields: object) -> cri.PodSandboxConfig:
        return lowering.sandbox_config(workload("w", **fields), "/logs", 0, "/cg")

    own = box(network=NetworkMode.INTERFACE, interface=INTERFACE)
    assert own.linux.security_context.namespace_options.network == cri.POD
    assert own.hostname == "ip-10-0-0-5.ec2.internal" and own.annotations[lowering.ADDRESS] == "10.0.0.5"
    assert list(own.dns_config.servers) == ["169.254.169.253"]
    host = box(network=NetworkMode.HOST)
    assert host.linux.security_context.namespace_options.network == cri.NODE and host.hostname == ""
    assert not host.HasField("dns_config")
    none = box(network=NetworkMode.NONE)
    assert list(none.dns_config.servers) == ["127.0.0.1"]  # never the machine's own resolver
    with pytest.raises(CreateFailed, match="bridge"):
        box(network=NetworkMode.BRIDGE)


def test_sysctls_of_the_machines_own_network_are_refused() -> None:
    spec = container(sysctls=(("net.core.somaxconn", "9"),))
    assert dict(lowering.sandbox_config(workload("w", spec), "/l", 0, "/c").linux.sysctls) == {
        "net.core.somaxconn": "9"
    }
    with pytest.raises(CreateFailed, match="sysctls"):
        lowering.sandbox_config(workload("w", spec, network=NetworkMode.HOST), "/l", 0, "/c")


def test_the_hosts_file_names_the_workload_and_its_extras() -> None:
    made = workload("w", network=NetworkMode.INTERFACE, interface=INTERFACE, extra_hosts=(("db", "10.0.0.9"),))
    assert lowering.hosts_file(made).splitlines()[2:] == [
        "10.0.0.5 ip-10-0-0-5.ec2.internal ip-10-0-0-5",
        "10.0.0.9 db",
    ]


@given(st.text(max_size=300))
def test_any_name_gives_a_valid_hostname(name: str) -> None:
    made = lowering.hostname(workload("w", hostname=name))
    assert 0 < len(made) <= 63 and made.isascii() and not made.startswith(("-", ".")) and " " not in made
