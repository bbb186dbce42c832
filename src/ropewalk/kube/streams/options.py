"""What a request for exec, attach, port-forward or logs asks for: read from its query, judged, in Kubernetes' words.

Pure. Queries are read as apimachinery converts them: the first value of a name counts, a flag that is there is true
unless it is `0` or `false`; ports may be repeated or separated by commas.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, name_of
from ropewalk.model.streams import LogQuery

Query = Mapping[str, list[str]]
MAX_COMMAND_BYTES = 256 * 1024
MAX_COMMAND_WORDS = 4096
MAX_PORTS = 64
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
LOG_STREAMS = ("All", "Stdout", "Stderr")


def query_of(text: str) -> Query:
    return parse_qs(text, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class CommandOptions:
    container: str
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogOptions:
    container: str
    query: LogQuery


def command_options(query: Query, pod: Object, *, attach: bool) -> CommandOptions:
    """Raises a 400, as kube-apiserver and the kubelet do."""
    container = container_of(_text(query, "container"), pod)
    assigned(pod)
    tty = _flag(query, "tty")
    found = CommandOptions(
        container=container,
        stdin=_flag(query, "stdin"),
        stdout=_flag(query, "stdout"),
        stderr=_flag(query, "stderr") and not tty,  # a terminal has one output: the kubelet drops the other
        tty=tty,
        command=() if attach else tuple(query.get("command", ())),
    )
    if not (found.stdin or found.stdout or found.stderr):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if not attach and (not found.command or not found.command[0]):
        raise errors.bad_request("you must specify at least one command for the container")
    if len(found.command) > MAX_COMMAND_WORDS or sum(map(len, found.command)) > MAX_COMMAND_BYTES:
        raise errors.bad_request("the command is too long: argument list too long")
    return found


def forward_ports(query: Query, *, required: bool) -> tuple[int, ...]:
    """Ports named in the query: only a WebSocket without tunnelling needs them there."""
    values = query.get("ports", [])
    if not values and required:
        raise errors.bad_request('query parameter "ports" is required')
    found: list[int] = []
    for value in values:
        if not value:
            raise errors.bad_request('query parameter "ports" cannot be empty')
        for word in value.split(","):
            if not (word.isascii() and word.isdecimal() and len(word) <= 5 and int(word) <= 65535):
                raise errors.bad_request(f'unable to parse "{value}" as a port: invalid syntax')
            if int(word) < 1:
                raise errors.bad_request(f'port "{value}" must be > 0')
            found.append(int(word))
    if len(found) > MAX_PORTS:
        raise errors.bad_request(f"at most {MAX_PORTS} ports can be forwarded by one request")
    return tuple(found)


def log_options(query: Query, pod: Object, now: float, *, split_streams: bool = False) -> LogOptions:
    """Raises a 422 for options that do not fit, a 400 for what cannot be read or for the container. `split_streams`:
    whether `stream` may be given (the feature gate PodLogsQuerySplitStreams, off in 1.35 unless asked for).
    """
    complaints = FieldErrors()
    tail = _number(query, "tailLines")
    limit = _number(query, "limitBytes")
    seconds = _number(query, "sinceSeconds")
    since = _moment(query, "sinceTime")
    stream = _text(query, "stream") or "All"
    if tail is not None and tail < 0:
        complaints.invalid(Path("tailLines"), tail, "must be greater than or equal to 0")
    if limit is not None and limit < 1:
        complaints.invalid(Path("limitBytes"), limit, "must be greater than 0")
    if seconds is not None and since is not None:
        complaints.forbidden(ROOT, "at most one of `sinceTime` or `sinceSeconds` may be specified")
    elif seconds is not None and seconds < 1:
        complaints.invalid(Path("sinceSeconds"), seconds, "must be greater than 0")
    if not split_streams and "stream" in query:
        complaints.forbidden(Path("stream"), "may not be specified")
    elif stream not in LOG_STREAMS:
        complaints.not_supported(Path("stream"), stream, LOG_STREAMS)
    elif stream != "All" and tail is not None:
        complaints.forbidden(ROOT, "`tailLines` and specific `stream` are mutually exclusive for now")
    if complaints:
        raise complaints.fault("PodLogOptions", "", name_of(pod))
    container = container_of(_text(query, "container"), pod)
    return LogOptions(
        container,
        LogQuery(
            previous=_flag(query, "previous"),
            follow=_flag(query, "follow"),
            since=now - seconds if seconds is not None else since or 0.0,
            timestamps=_flag(query, "timestamps"),
            tail_lines=-1 if tail is None else tail,
            limit_bytes=limit or 0,
            stdout=stream != "Stderr",
            stderr=stream != "Stdout",
        ),
    )


# --- the pod


def containers(pod: Object) -> Iterator[Object]:
    for key in CONTAINER_LISTS:
        yield from at(pod, "spec", key) or ()


def container_of(wanted: str, pod: Object) -> str:
    """The container asked for, or the only one there is."""
    names = [str(container.get("name", "")) for container in containers(pod)]
    if wanted:
        if wanted not in names:
            raise errors.bad_request(f"container {wanted} is not valid for pod {name_of(pod)}")
        return wanted
    regular = at(pod, "spec", "containers") or []
    if len(regular) == 1:
        return str(regular[0].get("name", ""))
    choice = f", choose one of: [{' '.join(names)}]" if regular else ""
    raise errors.bad_request(f"a container name must be specified for pod {name_of(pod)}{choice}")


def assigned(pod: Object) -> str:
    """The pod's node."""
    node = at(pod, "spec", "nodeName")
    if not node:
        raise errors.bad_request(f"pod {name_of(pod)} does not have a host assigned")
    return str(node)


def no_logs_yet(pod: Object, container: str, *, previous: bool) -> str:
    """Why the kubelet would refuse to show this container's logs; "" where it would try."""
    name = name_of(pod)
    status = _container_status(pod, container)
    if status is None:
        return f'container "{container}" in pod "{name}" is not available'
    state: dict[str, Any] = status.get("state") or {}
    last = at(status, "lastState", "terminated")
    if previous:
        return "" if last else f'previous terminated container "{container}" in pod "{name}" not found'
    if state.get("running") is not None or state.get("terminated") is not None or last:
        return ""
    reason = at(state, "waiting", "reason")
    known = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
    if state.get("waiting") is None:
        return f'container "{container}" in pod "{name}" is waiting to start - no logs yet'
    return f'container "{container}" in pod "{name}" is waiting to start: {known.get(str(reason), reason or "")}'


def _container_status(pod: Object, container: str) -> Object | None:
    for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for status in at(pod, "status", key) or ():
            if status.get("name") == container:
                found: Object = status
                return found
    return None


# --- values


def _text(query: Query, name: str) -> str:
    return query.get(name, [""])[0]


def _flag(query: Query, name: str) -> bool:
    return name in query and query[name][0].lower() not in ("0", "false")


def _number(query: Query, name: str) -> int | None:
    text = _text(query, name)
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _moment(query: Query, name: str) -> float | None:
    text = _text(query, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment.timestamp()
    except (ValueError, OverflowError) as wrong:
        message = f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        raise errors.bad_request(message) from wrong
