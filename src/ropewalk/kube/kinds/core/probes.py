"""Probes and lifecycle handlers: what they default to, what they may say.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import check_not_negative, check_port_or_name, header_problems
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_COUNTS = (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3))
_OF_PROBES = ("exec", "httpGet", "tcpSocket", "grpc")
_OF_LIFECYCLE = ("exec", "httpGet", "tcpSocket", "sleep")


def default_probe(probe: Object) -> None:
    for name, value in _COUNTS:
        if not probe.get(name):
            probe[name] = value
    default_handler(probe)
    if (grpc := probe.get("grpc")) is not None:
        grpc.setdefault("service", "")


def default_handler(handler: Object) -> None:
    if (http := handler.get("httpGet")) is not None:
        if not http.get("path"):
            http["path"] = "/"
        if not http.get("scheme"):
            http["scheme"] = "HTTP"


def validate_probes(container: Object, grace: int | None, path: Path, errors: FieldErrors) -> None:
    """The three probes of a container that may have them."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        here = path / name
        _validate_probe(probe, grace, here, errors)
        if name == "readinessProbe":
            if (seconds := probe.get("terminationGracePeriodSeconds")) is not None:
                errors.invalid(here / "terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")
        elif probe.get("successThreshold", 0) != 1:
            errors.invalid(here / "successThreshold", probe.get("successThreshold", 0), "must be 1")


def _validate_probe(probe: Object, grace: int | None, path: Path, errors: FieldErrors) -> None:
    _validate_handler(probe, _OF_PROBES, grace, path, errors)
    check_not_negative(
        errors,
        probe,
        path,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        errors.invalid(path / "terminationGracePeriodSeconds", seconds, "must be greater than 0")


def validate_lifecycle(lifecycle: Object, grace: int | None, path: Path, errors: FieldErrors) -> None:
    for name in ("postStart", "preStop"):
        if (handler := lifecycle.get(name)) is not None:
            _validate_handler(handler, _OF_LIFECYCLE, grace, path / name, errors)


def _validate_handler(
    handler: Object, kinds: tuple[str, ...], grace: int | None, path: Path, errors: FieldErrors
) -> None:
    chosen = ""
    for kind in kinds:
        action = handler.get(kind)
        if action is None:
            continue
        if chosen:
            errors.forbidden(path / kind, "may not specify more than 1 handler type")
            continue
        chosen = kind
        _validate_action(kind, action, grace, path, errors)
    if not chosen:
        errors.required(path, "must specify a handler type")


def _validate_action(kind: str, action: Object, grace: int | None, path: Path, errors: FieldErrors) -> None:
    if kind == "exec":
        if not action.get("command"):
            errors.required(path / kind / "command")
    elif kind == "httpGet":
        _validate_http(action, path / kind, errors)
    elif kind == "sleep":
        seconds = action.get("seconds", 0)
        if grace is not None and not 0 <= seconds <= grace:
            errors.invalid(
                path / kind,
                seconds,
                f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
            )
    else:
        check_port_or_name(errors, path / kind, "port", action.get("port"))


def _validate_http(action: Object, path: Path, errors: FieldErrors) -> None:
    if not action.get("path"):
        errors.required(path / "path")
    check_port_or_name(errors, path, "port", action.get("port"))
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        errors.not_supported(path / "scheme", action.get("scheme", ""), ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        errors.messages(path / "httpHeaders", name, header_problems(name))
