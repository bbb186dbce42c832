"""Rules of Windows' part of security contexts, and of pods whose containers run as processes of a Windows host.
https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/
"""

from __future__ import annotations

import re

from ropewalk.kube.kinds.core.checks import check_format, subdomain_problems
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_LISTS = ("initContainers", "containers", "ephemeralContainers")
_LONGEST_SPEC_KIB = 64
_DOMAIN_LIMIT, _LONGEST_USER = 256, 104
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DNS_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_DOTS = re.compile(r"[. ]+")
_BAD_IN_USERS = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def validate_windows_options(options: Object, path: Path, errors: FieldErrors) -> None:
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        check_format(errors, path, "gmsaCredentialSpecName", name, subdomain_problems)
    if (spec := options.get("gmsaCredentialSpec")) is not None:
        here = path / "gmsaCredentialSpec"
        if not spec:
            errors.invalid(here, spec, "gmsaCredentialSpec cannot be an empty string")
        elif len(spec.encode()) > _LONGEST_SPEC_KIB * 1024:
            errors.invalid(here, spec, f"gmsaCredentialSpec size must be under {_LONGEST_SPEC_KIB} KiB")
    if (user := options.get("runAsUserName")) is not None:
        errors.messages(path / "runAsUserName", user, [f"runAsUserName{text}" for text in _user_problems(user)])


def _user_problems(name: str) -> list[str]:
    if not name:
        return [" cannot be an empty string"]
    if _CONTROL.search(name):
        return [" cannot contain control characters"]
    if name.count("\\") > 1:
        return [" cannot contain more than one backslash"]
    domain, backslash, user = name.rpartition("\\")
    found: list[str] = []
    if len(domain.encode()) >= _DOMAIN_LIMIT:
        found.append(f"'s Domain length must be under {_DOMAIN_LIMIT} characters")
    if backslash and not _NETBIOS.fullmatch(domain) and not _DNS.fullmatch(domain):
        found.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        found.append("'s User cannot be empty")
    elif len(user.encode()) > _LONGEST_USER:
        found.append(f"'s User length must not be longer than {_LONGEST_USER} characters")
    if _DOTS.fullmatch(user):
        found.append("'s User cannot contain only periods or spaces")
    if _BAD_IN_USERS.search(user):
        found.append("""'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]""")
    return found


def validate_host_process(spec: Object, path: Path, errors: FieldErrors) -> None:
    """HostProcess is all containers or none, and on the host's network."""
    of_pod = _host_process(spec)
    lists = [spec[name] for name in _LISTS if spec.get(name)]
    if of_pod is None and not any(container.get("securityContext") for listed in lists for container in listed):
        return
    count = running = 0
    for name in _LISTS:
        for index, container in enumerate(spec.get(name) or ()):
            count += 1
            own = _host_process(container)
            if own is not None and of_pod is not None and own != of_pod:
                errors.invalid(
                    path / name / index / "securityContext" / "windowsOptions" / "hostProcess",
                    own,
                    f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}",
                )
            running += bool(of_pod if own is None else own)
    if not running:
        return
    if running != count:
        text = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.invalid(path, "", text)
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.invalid(path / "hostNetwork", False, text)


def _host_process(holder: Object) -> bool | None:
    options = (holder.get("securityContext") or {}).get("windowsOptions") or {}
    found: bool | None = options.get("hostProcess")
    return found
