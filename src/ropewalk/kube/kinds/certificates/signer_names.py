"""Names of signers: `kubernetes.io/kube-apiserver-client`."""

from __future__ import annotations

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path

LONGEST_DOMAIN = 253
LONGEST = 571
"""A domain, a slash, and a resource's name with its namespace."""


def validate_signer_name(name: str, path: Path, errors: FieldErrors) -> None:
    if not name:
        errors.required(path)
        return
    parts = name.split("/")
    if len(parts) != 2:
        errors.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    domain, signer = parts
    if len(domain) > LONGEST_DOMAIN:
        errors.too_long(path, LONGEST_DOMAIN)
    labels = domain.split(".")
    for label in labels:
        problems = names.dns1123_label(label)
        if problems:
            errors.messages(path, domain, [f"validating label {_quoted(label)}: {found}" for found in problems])
            break
    if len(labels) < 2:
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    for label in signer.split("."):
        problems = names.dns1123_subdomain(label)
        if problems:
            errors.messages(path, signer, [f"validating label {_quoted(label)}: {found}" for found in problems])
            break
    if len(name) > LONGEST:
        errors.too_long(path, LONGEST)


def _quoted(label: str) -> str:
    return f'"{label}"'
