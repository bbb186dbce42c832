"""The string formats that a custom resource's schema may name; others are accepted unchecked, as Kubernetes does.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
What CEL makes of the formats that have a type of their own stands here as well.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ropewalk.kube.machinery.patterns import pattern

Fits = Callable[[str], bool]


def _quietly(check: Callable[[str], object]) -> Fits:
    def fits(text: str) -> bool:
        try:
            check(text)
        except (ValueError, OverflowError):
            return False
        return True

    return fits


def _matching(expression: str, flags: str = "") -> Fits:
    """Anybody's text against an expression of ours: by RE2, which no text can make slow."""
    whole = rf"(?{flags}:\A(?:{expression})\z)"
    return lambda text: pattern(whole).search(text) is not None


# --- names and addresses

_SYMBOL = r"[a-zA-Z0-9\p{S}\p{L}]"
_HOSTNAME = (
    rf"^({_SYMBOL}((-?[a-zA-Z0-9\p{{S}}\p{{L}}]{{0,62}})?)"
    rf"|({_SYMBOL}(([a-zA-Z0-9-\p{{S}}\p{{L}}]{{0,61}}{_SYMBOL})?)(\.)){{1,}}([a-zA-Z\p{{L}}]){{2,63}})$"
)


def _is_hostname(text: str) -> bool:
    if len(text.encode()) > 255 or any(len(label.encode()) > 63 for label in text.split(".")):
        return False
    return pattern(_HOSTNAME).search(text) is not None


_OCTETS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)


def _strict_zeros(text: str) -> str:
    """Addresses of old, with leading zeros, are read as if they had none."""
    if not _OCTETS.fullmatch(text):
        return text
    return ".".join(part.lstrip("0") or "0" for part in text.split("."))


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if "%" in text:
        raise ValueError("a zone")
    return ipaddress.ip_address(_strict_zeros(text))


def _network(text: str) -> None:
    address, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdigit() or int(length) > _ip(address).max_prefixlen:
        raise ValueError("no network")


_HEX = "[0-9a-f]{2}"
_MAC = "|".join(
    [rf"({_HEX}{sign}){{{count - 1}}}{_HEX}" for sign in ":-" for count in (6, 8, 20)]
    + [rf"([0-9a-f]{{4}}\.){{{count // 2 - 1}}}[0-9a-f]{{4}}" for count in (6, 8, 20)]
)
_ATOM = r"[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+"
_EMAIL_ADDRESS = rf'({_ATOM}(\.{_ATOM})*|"([^"\\\x00-\x1f]|\\.)*")@({_ATOM}(\.{_ATOM})*|\[[0-9.]+\])'
_EMAIL = rf'\s*({_EMAIL_ADDRESS}|(({_ATOM}|\.|"([^"\\]|\\.)*"|\s)*)<\s*{_EMAIL_ADDRESS}\s*>)\s*'
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(
    r"([A-Za-z0-9\-._:~!$&'()*+,;=%@]*@)?(\[[0-9a-fA-F:.%]+\]|([A-Za-z0-9\-_.~!$&'()*+,;=\[\]<>\"\u0080-\U0010ffff]"
    r"|%[89a-fA-F][0-9a-fA-F])*)(:\d*)?"
)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _is_uri(text: str) -> bool:
    """An absolute path, or anything with a scheme."""
    if not text or _CONTROL.search(text):
        return False
    found = _SCHEME.fullmatch(text)
    rest = found[2] if found else text
    if not rest.startswith("/"):
        return found is not None or text == "*"
    rest = rest.partition("?")[0]
    if found and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if not _AUTHORITY.fullmatch(authority):
            return False
        rest = slash + path
    return not _BAD_ESCAPE.search(rest)


# --- numbers of goods, people and money


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text, flags=re.ASCII)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        return False
    return sum((place + 1) * (10 if digit == "X" else int(digit)) for place, digit in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text, flags=re.ASCII)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    return sum((1, 3)[place % 2] * int(digit) for place, digit in enumerate(digits)) % 10 == 0


_CARD = re.compile(
    r"4[0-9]{12}([0-9]{3})?|5[1-5][0-9]{14}|6(011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(0[0-5]|[68][0-9])[0-9]{11}|(2131|1800|35[0-9]{3})[0-9]{11}"
)


def _is_credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


# --- times

_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d?):(\d\d):(\d\d)([.,]\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DURATION = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LOOSE_PART = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LOOSE_UNITS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("ns", "nano"), 1),
    (("us", "µs", "micro"), 1_000),
    (("ms", "milli"), 1_000_000),
    (("s", "sec"), 1_000_000_000),
    (("m", "min"), 60_000_000_000),
    (("h", "hr", "hour"), 3_600_000_000_000),
    (("d", "day"), 86_400_000_000_000),
    (("w", "wk", "week"), 604_800_000_000_000),
)
_LONGEST = (1 << 63) - 1


def parse_date(text: str) -> datetime:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("no date")
    found = date.fromisoformat(text)
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def _is_datetime(text: str) -> bool:
    day, separator, clock = text.lower().partition("t")
    found = _CLOCK.fullmatch(clock.partition("t")[0])
    if not separator or found is None or not _quietly(parse_date)(day):
        return False
    return found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def parse_datetime(text: str) -> datetime:
    """What a date-time is in CEL; without a zone it is UTC."""
    found = _TIME.fullmatch(text)
    if found is None or text[10] != "T":
        raise ValueError("no date-time")
    year, month, day, hour, minute, second = (int(found[place]) for place in range(1, 7))
    micro = int(((found[7] or ".")[1:] + "000000")[:6])
    stamp = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    zone = found[8] or "Z"
    if zone == "Z":
        return stamp
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return stamp + offset if zone[0] == "-" else stamp - offset


def parse_duration(text: str) -> timedelta:
    """Go's durations ("1h30m"), and looser ones ("2 days")."""
    return timedelta(microseconds=_nanoseconds(text) / 1_000)


def _nanoseconds(text: str) -> int:
    if _DURATION.fullmatch(text):
        total = sum(int(_scaled(number, _NANOSECONDS[unit])) for number, unit in _DURATION_PART.findall(text))
        if total <= _LONGEST:
            return -total if text.startswith("-") else total
    loose = 0
    found = False
    for number, word in _LOOSE_PART.findall(text):
        unit = word.lower()
        if int(number) > _LONGEST:
            raise ValueError(f"unable to parse {text} as duration")
        for names, size in _LOOSE_UNITS:
            hits = sum(unit == name for name in names[:-1]) + unit.startswith(names[-1])
            loose += int(number) * size * hits
            found = found or hits > 0
    if not found:
        raise ValueError(f"unable to parse {text} as duration")
    return loose


def _scaled(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def parse_bytes(text: str) -> bytes:
    """What the format "byte" is in CEL: base64 in the alphabet of URLs."""
    if "+" in text or "/" in text:
        raise ValueError("illegal base64 data")
    return base64.b64decode(text, altchars=b"-_", validate=True)


def _uuid(version: str, variant: str = "[0-9a-f]") -> Fits:
    return _matching(
        rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?{variant}[0-9a-f]{{3}}-?[0-9a-f]{{12}}", "i"
    )


_TONE = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_FORMATS: dict[str, Fits] = {
    "bsonobjectid": _matching("[0-9a-f]{24}", "i"),
    "uri": _is_uri,
    "email": _matching(_EMAIL, "s"),
    "hostname": _is_hostname,
    "ipv4": lambda text: "." in text and _quietly(_ip)(text),
    "ipv6": lambda text: ":" in text and "%" not in text and _quietly(ipaddress.ip_address)(text),
    "cidr": _quietly(_network),
    "mac": _matching(_MAC, "i"),
    "uuid": _uuid("[0-9a-f]"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": lambda text: len(text) == 11 and _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}")(text),
    "hexcolor": _matching("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matching(rf"rgb\({_TONE},{_TONE},{_TONE}\)"),
    "byte": _matching(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda text: True,
    "date": _quietly(parse_date),
    "datetime": _is_datetime,
    "duration": _quietly(_nanoseconds),
    "k8sshortname": lambda text: len(text) <= 63 and _matching(_LABEL)(text),
    "k8slongname": lambda text: len(text) <= 253 and _matching(rf"{_LABEL}(\.{_LABEL})*")(text),
}


def check_of(form: str) -> Fits | None:
    """None for a format that nobody checks. Dashes do not count: "date-time" is "datetime"."""
    return _FORMATS.get(form.replace("-", "")) if form else None
