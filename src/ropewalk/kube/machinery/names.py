"""Is this text a name, a label, a port, an address? Each check answers Kubernetes' own messages, none where it is fine.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
Every validation of every kind goes through here, so the usual case (all is well) is one match of a compiled pattern.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from ropewalk.kube.machinery.fields import FieldErrors, Path

LABEL_LENGTH, SUBDOMAIN_LENGTH = 63, 253
ANNOTATIONS_BYTES = 256 * 1024

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_VARIABLE = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_HEADER = "[-A-Za-z0-9]+"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_label_1035 = re.compile(_LABEL_1035).fullmatch
_is_key = re.compile(_KEY).fullmatch
_is_value = re.compile(_VALUE).fullmatch
_is_config_key = re.compile(_CONFIG_KEY).fullmatch
_is_header = re.compile(_HEADER).fullmatch
_is_wildcard = re.compile(_WILDCARD).fullmatch
_is_port_charset = re.compile("[-a-z0-9]+").fullmatch
_has_letter = re.compile("[a-z]").search

_ALPHANUMERIC = "must start and end with an alphanumeric character"
_LABEL_TEXT = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and {_ALPHANUMERIC}"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and"
    f" {_ALPHANUMERIC}"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character"
)
_WILDCARD_TEXT = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_KEY_TEXT = f"must consist of alphanumeric characters, '-', '_' or '.', and {_ALPHANUMERIC}"
_VALUE_TEXT = (
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and {_ALPHANUMERIC}"
)


def too_long(length: int) -> str:
    return f"must be no more than {length} bytes"


def pattern_text(text: str, pattern: str, *examples: str) -> str:
    """A message about a pattern, with its examples, as apimachinery composes it."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def _unprefixed(value: str, prefix: bool) -> str:
    """A generateName may end in a dash: what is appended ends the name."""
    return value[:-2] + "a" if prefix and len(value) > 1 and value.endswith("-") else value


def dns1123_label(value: str, *, prefix: bool = False) -> list[str]:
    value = _unprefixed(value, prefix)
    if len(value) <= LABEL_LENGTH and _is_label(value):
        return []
    problems = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_label(value):
        if _is_subdomain(value):
            problems.append("must not contain dots")
        else:
            problems.append(pattern_text(_LABEL_TEXT, _LABEL, "my-name", "123-abc"))
    return problems


def dns1123_subdomain(value: str, *, prefix: bool = False) -> list[str]:
    value = _unprefixed(value, prefix)
    if len(value) <= SUBDOMAIN_LENGTH and _is_subdomain(value):
        return []
    problems = [too_long(SUBDOMAIN_LENGTH)] if len(value) > SUBDOMAIN_LENGTH else []
    if not _is_subdomain(value):
        problems.append(pattern_text(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return problems


def dns1035_label(value: str, *, prefix: bool = False) -> list[str]:
    value = _unprefixed(value, prefix)
    problems = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_label_1035(value):
        problems.append(pattern_text(_LABEL_1035_TEXT, _LABEL_1035, "my-name", "abc-123"))
    return problems


def wildcard_subdomain(value: str) -> list[str]:
    problems = [too_long(SUBDOMAIN_LENGTH)] if len(value) > SUBDOMAIN_LENGTH else []
    if not _is_wildcard(value):
        problems.append(pattern_text(_WILDCARD_TEXT, _WILDCARD, "*.example.com"))
    return problems


def qualified_name(value: str) -> list[str]:
    """A label's or annotation's key, a finalizer, a resource name: `[prefix/]name`."""
    parts = value.split("/")
    if len(parts) > 2:
        return [
            "a valid label key "
            + pattern_text(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    problems: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in dns1123_subdomain(parts[0])]
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > LABEL_LENGTH:
        problems.append(f"name part {too_long(LABEL_LENGTH)}")
    if not _is_key(name):
        problems.append("name part " + pattern_text(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc"))
    return problems


def label_value(value: str) -> list[str]:
    problems = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_value(value):
        problems.append(pattern_text(_VALUE_TEXT, _VALUE, "MyValue", "my_value", "12345"))
    return problems


def port_name(value: str) -> list[str]:
    """An IANA service name."""
    problems = [too_long(15).replace("bytes", "characters")] if len(value) > 15 else []
    if not _is_port_charset(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter(value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def env_var_name(value: str) -> list[str]:
    """As Kubernetes takes them since 1.34: any printable ASCII but the equals sign."""
    if not value:
        return ["must be non-empty"]
    if all(" " <= character <= "~" and character != "=" for character in value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_map_key(value: str) -> list[str]:
    problems = [too_long(SUBDOMAIN_LENGTH).replace("bytes", "characters")] if len(value) > SUBDOMAIN_LENGTH else []
    if not _is_config_key(value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        problems.append(pattern_text(text, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def path_segment(value: str, *, prefix: bool = False) -> list[str]:
    """What may stand as one step of a URL: RBAC's names, and all others at the least."""
    if not prefix and value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def http_header_name(value: str) -> list[str]:
    if _is_header(value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [pattern_text(text, _HEADER, "X-Header-Name")]


def fully_qualified(value: str) -> list[str]:
    """A domain of three segments at the least: an admission webhook's name."""
    problems = dns1123_subdomain(value)
    if problems:
        return [",".join(problems)]
    if value.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def ip(value: str) -> list[str]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr(value: str) -> list[str]:
    try:
        if "/" not in value:
            raise ValueError(value)
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return []


def labels(given: Mapping[str, str], path: Path, errors: FieldErrors) -> None:
    for key, value in given.items():
        errors.messages(path, key, qualified_name(key))
        if not (len(value) <= LABEL_LENGTH and _is_value(value)):
            errors.messages(path, value, label_value(value))


def annotations(given: Mapping[str, str], path: Path, errors: FieldErrors) -> None:
    size = 0
    for key, value in given.items():
        size += len(key) + (len(value) if value.isascii() else len(value.encode(errors="replace")))
        errors.messages(path, key, qualified_name(key.lower()))
    if size > ANNOTATIONS_BYTES:
        errors.too_long(path, ANNOTATIONS_BYTES)
