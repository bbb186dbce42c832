"""Where a webhook is reached: a URL or a service.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#contacting-the-webhook
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

FORM = "; desired format: https://host[/path]"


def default_client(config: Object) -> None:
    if config.get("service") is not None:
        config["service"].setdefault("port", 443)


def validate_client(config: Object, path: Path, errors: FieldErrors) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        validate_url(url, path / "url", errors)
    else:
        validate_service(service or {}, path / "service", errors)


def validate_url(url: str, path: Path, errors: FieldErrors) -> None:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError as error:
        errors.required(path, f'url must be a valid URL: parse "{url}": {error}{FORM}')
        return
    if found.scheme != "https":
        errors.invalid(path, found.scheme, f"'https' is the only allowed URL scheme{FORM}")
    user, _, host = found.netloc.rpartition("@")
    if not host:
        errors.invalid(path, "", f"host must be specified{FORM}")
    if "@" in found.netloc:
        errors.invalid(path, user, "user information is not permitted in the URL")
    if found.fragment:
        errors.invalid(path, found.fragment, "fragments are not permitted in the URL")
    if found.query:
        errors.invalid(path, found.query, "query parameters are not permitted in the URL")


def validate_service(service: Object, path: Path, errors: FieldErrors) -> None:
    # Kubernetes takes the two names for one another here: what is missing is named by the other.
    if not service.get("namespace"):
        errors.required(path / "name")
    if not service.get("name"):
        errors.required(path / "namespace")
    port = service.get("port", 443)
    problems = names.port_number(port)
    if problems:
        errors.invalid(path / "port", port, "port is not valid: " + ", ".join(problems))
    _validate_path(service.get("path", ""), path / "path", errors)


def _validate_path(url_path: str, path: Path, errors: FieldErrors) -> None:
    if url_path in ("", "/"):
        return
    if url_path == "//":
        errors.invalid(path, url_path, "segment[0] may not be empty")
        return
    if not url_path.startswith("/"):
        errors.invalid(path, url_path, "must start with a '/'")
    for index, step in enumerate(url_path[1:].removesuffix("/").split("/")):
        if not step:
            errors.invalid(path, url_path, f"segment[{index}] may not be empty")
        else:
            problems = names.dns1123_subdomain(step)
            errors.messages(path, url_path, [f"segment[{index}]: {found}" for found in problems])
