"""What requests to subresources carry in their query instead of a body: exec, attach, port-forward, proxies, logs.

Published for OpenAPI documents; the streams themselves stand in `kube.streams`.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from ropewalk.kube.machinery.openapi.parameters import Parameter

_CONTAINER = Parameter("container", "string", "The container; may be left out where there is only one.")
_STREAMS = (
    _CONTAINER,
    Parameter("stdin", "boolean", "Send standard input to the container."),
    Parameter("stdout", "boolean", "Receive the container's standard output."),
    Parameter("stderr", "boolean", "Receive the container's standard error."),
    Parameter("tty", "boolean", "Use a terminal: standard error then comes with standard output."),
)
_PROXY = (Parameter("path", "string", "The URL path to ask for, with its query."),)

QUERIES: dict[str, tuple[Parameter, ...]] = {
    "pods/attach": _STREAMS,
    "pods/exec": (Parameter("command", "string", "The command and its arguments, one a parameter."), *_STREAMS),
    "pods/portforward": (Parameter("ports", "integer", "The ports to forward; required over WebSocket."),),
    "pods/proxy": _PROXY,
    "services/proxy": _PROXY,
    "nodes/proxy": _PROXY,
    "pods/log": (
        _CONTAINER,
        Parameter("follow", "boolean", "Go on with what is written from now on."),
        Parameter("insecureSkipTLSVerifyBackend", "boolean", "Do not verify the certificate of the node."),
        Parameter("limitBytes", "integer", "Stop after so many bytes."),
        Parameter("previous", "boolean", "The log of the container's last terminated run."),
        Parameter("sinceSeconds", "integer", "Only what was written in the last so many seconds."),
        Parameter("stream", "string", "All, Stdout or Stderr."),
        Parameter("tailLines", "integer", "Only so many lines from the end."),
        Parameter("timestamps", "boolean", "Begin every line with the time at which it was written."),
    ),
}
"""By `plural/subresource`."""
