"""What CEL's functions say of texts that are no address, network, version or URL: Go's own words."""

from __future__ import annotations

import pytest

from ropewalk.kube.machinery.cel.environment import Environment
from ropewalk.kube.machinery.cel.values import EvaluationError

ENVIRONMENT = Environment({"text": "string"})
CIDR = "network address parse error during conversion from string: "
URL = "URL parse error during conversion from string: "


def refusal(expression: str, text: str) -> str:
    with pytest.raises(EvaluationError) as refused:
        ENVIRONMENT.compile(expression).evaluate({"text": text})
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unable to parse IP"),
        ("%eth0", "missing IPv6 address"),
        ("1.2.3", "IPv4 address too short"),
        ("1.2.3.4.5", "IPv4 address too long"),
        ("1..3.4", 'IPv4 field must have at least one digit (at ".3.4")'),
        ("1.2.3.256", "IPv4 field has value >255"),
        ("01.2.3.4", "IPv4 field has octet with leading zero"),
        ("1.2.3.x", 'unexpected character (at "x")'),
        ("fe80::1%", "zone must be a non-empty string"),
        ("1:2", "address string too short"),
        ("1:2:3:4:5:6:7:8:9", 'trailing garbage after address (at "9")'),
        ("1:", 'colon must be followed by more characters (at ":")'),
        ("12345::", 'each group must have 4 or less digits (at "12345::")'),
        ("g::1", 'each colon-separated field must have at least one digit (at "g::1")'),
        ("1g::", 'unexpected character, want colon (at "g::")'),
        ("1::2::3", 'multiple :: in address (at ":3")'),
        ("1::2:3:4:5:6:7:8", "the :: must expand to at least one field of zeros"),
        ("1:2::3.4.5", "IPv4 address too short"),
        ("1:1.2.3.4", 'embedded IPv4 address must replace the final 2 fields of the address (at "1.2.3.4")'),
        (
            "::1:2:3:4:5:6:7:1.2.3.4",
            'too many hex fields to fit an embedded IPv4 at the end of the address (at "1.2.3.4")',
        ),
    ],
)
def test_what_is_no_address(text: str, why: str) -> None:
    assert refusal("ip(text)", text) == (
        f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): {why}'
    )


def test_addresses_that_are_not_taken() -> None:
    assert refusal("ip(text)", "fe80::1%eth0") == 'IP address "fe80::1%eth0" with zone value is not allowed'
    assert refusal("ip(text)", "::ffff:1.2.3.4") == 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'
    assert refusal("cidr(text)", "::ffff:1.2.3.4/100") == (
        f'{CIDR}IPv4-mapped IPv6 address "::ffff:1.2.3.4/100" is not allowed'
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0", "no '/'"),
        ("10.0.0/8", 'ParseAddr("10.0.0"): IPv4 address too short'),
        ("fe80::1%eth0/8", "IPv6 zones cannot be present in a prefix"),
        ("10.0.0.0/08", 'bad bits after slash: "08"'),
        ("10.0.0.0/", 'bad bits after slash: ""'),
        ("10.0.0.0/33", "prefix length out of range"),
    ],
)
def test_what_is_no_network(text: str, why: str) -> None:
    assert refusal("cidr(text)", text) == f'{CIDR}{CIDR}netip.ParsePrefix("{text}"): {why}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Version string empty"),
        ("1.2", "No Major.Minor.Patch elements found"),
        ("v1.2.3", 'Invalid character(s) found in major number "v1"'),
        ("1.02.3", 'Minor number must not contain leading zeroes "02"'),
        ("1.2.", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("18446744073709551616.0.0", 'strconv.ParseUint: parsing "18446744073709551616": value out of range'),
        ("1.2.3-", "Prerelease is empty"),
        ("1.2.3-a_b", 'Invalid character(s) found in prerelease "a_b"'),
        ("1.2.3-01", 'Numeric PreRelease version must not contain leading zeroes "01"'),
        ("1.2.3+", "Build meta data is empty"),
        ("1.2.3+a_b", 'Invalid character(s) found in build meta data "a_b"'),
    ],
)
def test_what_is_no_version(text: str, why: str) -> None:
    assert refusal("semver(text)", text) == why


def test_short_versions_end_with_a_number() -> None:
    why = "short version cannot contain PreRelease/Build meta data"
    assert refusal("semver(text, true)", "v1.2-rc") == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty url"),
        ("no url", "invalid URI for request"),
        (":x", "missing protocol scheme"),
        ("http://h/%zz", 'invalid URL escape "%zz"'),
        ("http://h%41/", 'invalid URL escape "%41"'),
        ("http://a b/", 'invalid character " " in host name'),
        ("http://h:x/", 'invalid port ":x" after host'),
        ("http://[::1", "missing ']' in host"),
        ("http://[::1%25a b]/", 'invalid character " " in host name'),
        ("http://[1.2.3.4]/", "invalid IP-literal"),
        ("http://x[::1]/", "invalid IP-literal"),
        ("http://[x]/", 'invalid host: ParseAddr("x"): unable to parse IP'),
        ("http://u^@h/", "net/url: invalid userinfo"),
        ("http://h/#%x", 'invalid URL escape "%x"'),
    ],
)
def test_what_is_no_url(text: str, why: str) -> None:
    assert refusal("url(text)", text) == f'{URL}parse "{text}": {why}'


def test_urls_without_a_host() -> None:
    for expression in (
        "isURL('mailto:x') && url('mailto:x').getScheme() == 'mailto' && url('mailto:x').getHost() == ''",
        "url('*').getEscapedPath() == '*' && url('http://h/[a%41').getEscapedPath() == '/[a%41'",
        "url('http://h/a b%41').getEscapedPath() == '/a%20bA' && url('http://[::1%25e]:8/').getHost() == '[::1%e]:8'",
    ):
        assert ENVIRONMENT.compile(expression).evaluate({"text": ""}) is True, expression
    assert refusal("url(text)", "/a\tb") == f'{URL}parse "/a\\tb": net/url: invalid control character in URL'
