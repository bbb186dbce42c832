import pytest

from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
KEY_PART = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("a", []),
        ("0-a--b", []),
        ("a" * 63, []),
        ("a" * 64, ["must be no more than 63 characters"]),
        ("a.b", ["must not contain dots"]),
        ("-a", [LABEL]),
        ("A", [LABEL]),
        ("", [LABEL]),
        ("a\n", [LABEL]),
        ("é" * 32, ["must be no more than 63 characters", LABEL]),
    ],
)
def test_labels_of_rfc_1123(name: str, problems: list[str]) -> None:
    assert names.dns1123_label(name) == problems


@pytest.mark.parametrize(
    ("name", "good", "good_as_prefix"),
    [("web", True, True), ("web-", False, True), ("-", False, False), ("web.", False, False), ("web--", False, True)],
)
def test_a_prefix_may_end_in_a_dash(name: str, good: bool, good_as_prefix: bool) -> None:
    assert (names.dns1123_subdomain(name) == []) is good
    assert (names.dns1123_subdomain(name, prefix=True) == []) is good_as_prefix


@pytest.mark.parametrize(("name", "good"), [("a1", True), ("1a", False), ("a-", False), ("a.b", False)])
def test_labels_of_rfc_1035_begin_with_a_letter(name: str, good: bool) -> None:
    assert (names.dns1035_label(name) == []) is good


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        ("app", []),
        ("example.com/My_app.v1", []),
        ("a/b/c", [f"a valid label key {KEY_PART} with an optional DNS subdomain prefix and '/' (e.g."
                   " 'example.com/MyName')"]),
        ("/x", ["prefix part must be non-empty"]),
        ("x/", ["name part must be non-empty", f"name part {KEY_PART}"]),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        ("a b", [f"name part {KEY_PART}"]),
    ],
)  # fmt: skip
def test_qualified_names(key: str, problems: list[str]) -> None:
    assert names.qualified_name(key) == problems


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("http", []),
        ("8080", ["must contain at least one letter (a-z)"]),
        ("a--b", ["must not contain consecutive hyphens"]),
        ("a-", ["must not begin or end with a hyphen"]),
        ("a" * 16, ["must be no more than 15 characters"]),
    ],
)
def test_names_of_ports(name: str, problems: list[str]) -> None:
    assert names.port_name(name) == problems


@pytest.mark.parametrize(
    ("key", "problems"),
    [("tls.crt", []), (".", ["must not be '.'"]), ("..a", ["must not start with '..'"]), ("..", ["must not be '..'"])],
)
def test_keys_of_config_maps(key: str, problems: list[str]) -> None:
    assert names.config_map_key(key) == problems


def test_names_of_variables_are_anything_printable_but_an_equals_sign() -> None:
    assert names.env_var_name("MY VAR.1") == []
    assert names.env_var_name("") == ["environment variable name must be non-empty"]
    assert names.env_var_name("a=b") == names.env_var_name("a\tb") != []


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("a.example.com", []),
        ("example.com", ["should be a domain with at least three segments separated by dots"]),
    ],
)
def test_fully_qualified_names(name: str, problems: list[str]) -> None:
    assert names.fully_qualified(name) == problems


def test_segments_of_paths() -> None:
    assert names.path_segment("system:node") == []
    assert names.path_segment("a/b%") == ["may not contain '/'", "may not contain '%'"]
    assert names.path_segment("..") == ["may not be '..'"]
    assert names.path_segment("..", prefix=True) == []


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("10.9.8.7", []),
        ("010.9.8.7", ["must not have leading 0s"]),
        ("::ffff:10.0.0.1", ["must not be an IPv4-mapped IPv6 address"]),
        ("FE80::1", ['must be in canonical form ("fe80::1")']),
        ("10.9.8", [addresses.NOT_AN_IP]),
        ("fe80::1%eth0", [addresses.NOT_AN_IP]),
    ],
)
def test_strict_addresses(text: str, problems: list[str]) -> None:
    assert addresses.strict_ip(text) == problems


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("10.9.8.0/24", []),
        ("10.9.8.1/24", ["must not have bits set beyond the prefix length"]),
        ("10.9.8.0/024", ["must not have leading 0s in IP or prefix length"]),
        ("2001:db8:0::/64", ['must be in canonical form ("2001:db8::/64")']),
        ("10.9.8.0", [addresses.NOT_A_CIDR]),
        ("10.9.8.0/33", [addresses.NOT_A_CIDR]),
    ],
)
def test_strict_ranges(text: str, problems: list[str]) -> None:
    assert addresses.strict_cidr(text) == problems


def test_older_fields_take_what_newer_ones_refuse_and_warn() -> None:
    assert names.ip("010.9.8.7") == names.cidr("10.9.8.1/24") == []
    assert addresses.ip_warnings("spec.ip", "010.9.8.7") == [
        'spec.ip: non-standard IP address "010.9.8.7" will be considered invalid in a future Kubernetes release: use'
        ' "10.9.8.7"'
    ]
    assert addresses.cidr_warnings("f", "10.9.8.1/24") == [
        'f: CIDR value "10.9.8.1/24" is ambiguous in this context (should be "10.9.8.0/24" or "10.9.8.1/32"?)'
    ]
    assert addresses.cidr_warnings("f", "10.9.8.0/24") == addresses.ip_warnings("f", "10.9.8.7") == []


def test_labels_and_annotations_of_an_object() -> None:
    found = FieldErrors()
    names.labels({"ok": "fine", "bad key": "bad value!"}, ROOT / "metadata" / "labels", found)
    assert [cause.field for cause in found.causes] == ["metadata.labels"] * 2
    found = FieldErrors()
    names.annotations({"Any.Case/Is-Fine": "x" * 300_000}, ROOT / "metadata" / "annotations", found)
    assert [cause.message for cause in found.causes] == ["Too long: may not be more than 262144 bytes"]
