"""The formats of names, keys and values: each check returns Kubernetes' own complaints, an empty list where all is
well.

Every object written passes several of these: the good case is one match of a compiled expression. Bytes are what
counts for lengths, as in Go. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

import re
from collections.abc import Mapping

from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.fields import FieldErrors, Path

WORDLESS = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in: no vowels and nothing that looks like one, so that they spell no words."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_NAME_PART})?"
_KEY = "[-._a-zA-Z0-9]+"
_ENV = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_HEADER = "[-A-Za-z0-9]+"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*").fullmatch
_label_1035 = re.compile(_LABEL_1035).fullmatch
_name_part = re.compile("[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?").fullmatch
_key = re.compile(_KEY).fullmatch
_env = re.compile(_ENV).fullmatch
_header = re.compile(_HEADER).fullmatch
_c_identifier = re.compile(_C_IDENTIFIER).fullmatch
_port_name_letters = re.compile("[-a-z0-9]+").fullmatch
_lower = re.compile("[a-z]").search

LONGEST_LABEL = 63
LONGEST_SUBDOMAIN = 253
LARGEST_ANNOTATIONS = 256 * 1024

_NOT_A_NAME_PART = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def _bad(text: str, expression: str, *examples: str) -> str:
    told = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {told}regex used for validation is '{expression}')"


def _length(value: str) -> int:
    return len(value.encode("utf-8", "surrogatepass"))


def _as_prefix(value: str) -> str:
    """Something is going to follow, so a dash may stand last."""
    return f"{value[:-1]}a" if len(value) > 1 and value.endswith("-") else value


_BAD_LABEL = _bad(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_BAD_SUBDOMAIN = _bad(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_BAD_LABEL_1035 = _bad(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_BAD_WILDCARD = _bad(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_BAD_NAME_PART = _bad(_NOT_A_NAME_PART, _NAME_PART, "MyName", "my.name", "123-abc")
_BAD_VALUE = _bad(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_BAD_ENV = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_BAD_KEY = _bad(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_BAD_HEADER = _bad("a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")
_BAD_C_IDENTIFIER = _bad(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_'",
    _C_IDENTIFIER,
    "my_name",
    "MY_NAME",
    "MyName",
)


def _too_long(value: str, limit: int, unit: str = "characters") -> list[str]:
    return [f"must be no more than {limit} {unit}"] if _length(value) > limit else []


def dns1123_label(value: str, *, prefix: bool = False) -> list[str]:
    if prefix:
        value = _as_prefix(value)
    good = _label(value)
    if good and len(value) <= LONGEST_LABEL:
        return []
    problems = _too_long(value, LONGEST_LABEL)
    if not good:
        problems.append("must not contain dots" if _subdomain(value) else _BAD_LABEL)
    return problems


def dns1123_subdomain(value: str, *, prefix: bool = False) -> list[str]:
    if prefix:
        value = _as_prefix(value)
    good = _subdomain(value)
    if good and len(value) <= LONGEST_SUBDOMAIN:
        return []
    problems = _too_long(value, LONGEST_SUBDOMAIN)
    if not good:
        problems.append(_BAD_SUBDOMAIN)
    return problems


def dns1035_label(value: str, *, prefix: bool = False) -> list[str]:
    if prefix:
        value = _as_prefix(value)
    good = _label_1035(value)
    if good and len(value) <= LONGEST_LABEL:
        return []
    problems = _too_long(value, LONGEST_LABEL)
    if not good:
        problems.append(_BAD_LABEL_1035)
    return problems


def wildcard_subdomain(value: str) -> list[str]:
    """`*.example.com`"""
    problems = _too_long(value, LONGEST_SUBDOMAIN)
    if not value.startswith("*.") or not _subdomain(value[2:]):
        problems.append(_BAD_WILDCARD)
    return problems


def qualified_name(value: str) -> list[str]:
    """A label's key: `app` or `example.com/app`."""
    if _name_part(value) and len(value) <= LONGEST_LABEL:
        return []
    parts = value.split("/")
    if len(parts) > 2:
        return [
            f"a valid label key {_BAD_NAME_PART} with an optional DNS subdomain prefix and '/'"
            " (e.g. 'example.com/MyName')"
        ]
    problems = []
    if len(parts) == 2:
        if not parts[0]:
            problems.append("prefix part must be non-empty")
        elif not _subdomain(parts[0]) or len(parts[0]) > LONGEST_SUBDOMAIN:
            long = _too_long(parts[0], LONGEST_SUBDOMAIN, "bytes")
            problems += [f"prefix part {text}" for text in long]
            if not _subdomain(parts[0]):
                problems.append(f"prefix part {_BAD_SUBDOMAIN}")
    name = parts[-1]
    if not name:
        problems.append("name part must be non-empty")
    elif _length(name) > LONGEST_LABEL:
        problems.append(f"name part must be no more than {LONGEST_LABEL} bytes")
    if not _name_part(name):
        problems.append(f"name part {_BAD_NAME_PART}")
    return problems


def label_value(value: str) -> list[str]:
    if not value or (_name_part(value) and len(value) <= LONGEST_LABEL):
        return []
    problems = _too_long(value, LONGEST_LABEL, "bytes")
    if not _name_part(value):
        problems.append(_BAD_VALUE)
    return problems


def port_name(value: str) -> list[str]:
    """IANA_SVC_NAME (RFC 6335)."""
    problems = _too_long(value, 15)
    if not _port_name_letters(value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _lower(value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def _climbs(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def env_var_name(value: str) -> list[str]:
    """What Kubernetes takes since 1.34: anything printable but `=`."""
    if not value:
        return ["environment variable name must be non-empty"]
    if any(letter == "=" or not " " <= letter <= "~" for letter in value):
        return [_BAD_ENV]
    return []


def config_map_key(value: str) -> list[str]:
    """Of a ConfigMap or a Secret."""
    problems = _too_long(value, LONGEST_SUBDOMAIN)
    if not _key(value):
        problems.append(_BAD_KEY)
    return problems + _climbs(value)


def path_segment(value: str, *, prefix: bool = False) -> list[str]:
    """What can stand in a URL's path: the rule of RBAC's names."""
    if not prefix and value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def ip(value: str) -> list[str]:
    """Of an older field, which takes leading zeros; newer ones ask `addresses.strict_ip`."""
    return [] if addresses.parse_ip(value) else [addresses.NOT_AN_IP]


def cidr(value: str) -> list[str]:
    """Of an older field; newer ones ask `addresses.strict_cidr`."""
    return [] if addresses.parse_cidr(value) else [addresses.NOT_A_CIDR]


def http_header_name(value: str) -> list[str]:
    return [] if _header(value) else [_BAD_HEADER]


def c_identifier(value: str) -> list[str]:
    return [] if _c_identifier(value) else [_BAD_C_IDENTIFIER]


def fully_qualified(value: str) -> list[str]:
    """A subdomain of at least three parts, as webhooks are called. All complaints in one, as Kubernetes joins them."""
    problems = dns1123_subdomain(value)
    if problems:
        return [",".join(problems)]
    if value.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def labels(given: Mapping[str, str], path: Path, errors: FieldErrors) -> None:
    for key, value in given.items():
        errors.messages(path, key, qualified_name(key))
        errors.messages(path, value, label_value(value))


def annotations(given: Mapping[str, str], path: Path, errors: FieldErrors) -> None:
    size = 0
    for key, value in given.items():
        for problem in qualified_name(key.lower()):
            errors.invalid(path, key, problem)
        size += _length(key) + _length(value)
    if size > LARGEST_ANNOTATIONS:
        errors.too_long(path, LARGEST_ANNOTATIONS)
