"""The functions that expressions may call, with the types of each: what the type checker goes by. Pure.

CEL's own and Kubernetes' libraries, as kube-apiserver 1.35 declares them.
https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ropewalk.kube.machinery.cel.types import Type, parsed

_TABLE = """
!_: bool -> bool
-_: double -> double; int -> int
@in: A list(A) -> bool; A map(A,B) -> bool
@not_strictly_false: bool -> bool
_!=_: A A -> bool
_%_: int int -> int; uint uint -> uint
_&&_: bool bool -> bool
_*_: double double -> double; int int -> int; uint uint -> uint
_+_: bytes bytes -> bytes; double double -> double; duration duration -> duration; duration timestamp -> timestamp;
  timestamp duration -> timestamp; int int -> int; list(A) list(A) -> list(A); string string -> string; uint uint ->
  uint
_-_: double double -> double; duration duration -> duration; int int -> int; timestamp duration -> timestamp;
  timestamp timestamp -> duration; uint uint -> uint
_/_: double double -> double; int int -> int; uint uint -> uint
_==_: A A -> bool
_?._: dyn string -> optional(V)
_?_:_: bool A A -> A
_[?_]: list(V) int -> optional(V); optional(list(V)) int -> optional(V); map(K,V) K -> optional(V); optional(map(K,V))
  K -> optional(V)
_[_]: list(A) int -> A; map(A,B) A -> B; optional(list(V)) int -> optional(V); optional(map(K,V)) K -> optional(V)
_||_: bool bool -> bool
add: .Quantity Quantity -> Quantity; .Quantity int -> Quantity
allowed: .Decision -> bool
asApproximateFloat: .Quantity -> double
asInteger: .Quantity -> int
bool: bool -> bool; string -> bool
bytes: bytes -> bytes; string -> bytes
cel.@mapInsert: map(K,V) K V -> map(K,V); map(K,V) map(K,V) -> map(K,V)
charAt: .string int -> string
check: .PathCheck string -> Decision; .ResourceCheck string -> Decision
cidr: string -> CIDR
compareTo: .Quantity Quantity -> int; .Semver Semver -> int
contains: .string string -> bool
containsCIDR: .CIDR string -> bool; .CIDR CIDR -> bool
containsIP: .CIDR string -> bool; .CIDR IP -> bool
distinct: .list(T) -> list(T)
double: double -> double; int -> double; string -> double; uint -> double
duration: duration -> duration; int -> duration; string -> duration
dyn: A -> dyn
endsWith: .string string -> bool
error: .Decision -> string
errored: .Decision -> bool
family: .IP -> int
fieldSelector: .ResourceCheck string -> ResourceCheck
find: .string string -> string
findAll: .string string -> list(string); .string string int -> list(string)
first: .list(V) -> optional(V)
flatten: .list(list(T)) -> list(T); .list(dyn) int -> list(dyn)
format: .string list(dyn) -> string
format.byte: -> NamedFormat
format.date: -> NamedFormat
format.datetime: -> NamedFormat
format.dns1035Label: -> NamedFormat
format.dns1035LabelPrefix: -> NamedFormat
format.dns1123Label: -> NamedFormat
format.dns1123LabelPrefix: -> NamedFormat
format.dns1123Subdomain: -> NamedFormat
format.dns1123SubdomainPrefix: -> NamedFormat
format.labelValue: -> NamedFormat
format.named: string -> optional(NamedFormat)
format.qualifiedName: -> NamedFormat
format.uri: -> NamedFormat
format.uuid: -> NamedFormat
getEscapedPath: .URL -> string
getHost: .URL -> string
getHostname: .URL -> string
getHours: .timestamp -> int; .timestamp string -> int; .duration -> int
getMilliseconds: .timestamp -> int; .timestamp string -> int; .duration -> int
getMinutes: .timestamp -> int; .timestamp string -> int; .duration -> int
getPort: .URL -> string
getQuery: .URL -> map(string,list(string))
getScheme: .URL -> string
getSeconds: .timestamp -> int; .timestamp string -> int; .duration -> int
group: .Authorizer string -> GroupCheck
hasValue: .optional(V) -> bool
indexOf: .list(A) A -> int; .string string -> int; .string string int -> int
int: int -> int; double -> int; duration -> int; string -> int; timestamp -> int; uint -> int
ip: string -> IP; .CIDR -> IP
ip.isCanonical: string -> bool
isCIDR: string -> bool
isGlobalUnicast: .IP -> bool
isGreaterThan: .Quantity Quantity -> bool; .Semver Semver -> bool
isIP: string -> bool
isInteger: .Quantity -> bool
isLessThan: .Quantity Quantity -> bool; .Semver Semver -> bool
isLinkLocalMulticast: .IP -> bool
isLinkLocalUnicast: .IP -> bool
isLoopback: .IP -> bool
isQuantity: string -> bool
isSemver: string -> bool; string bool -> bool
isURL: string -> bool
isUnspecified: .IP -> bool
join: .list(string) -> string; .list(string) string -> string
labelSelector: .ResourceCheck string -> ResourceCheck
last: .list(V) -> optional(V)
lastIndexOf: .list(A) A -> int; .string string -> int; .string string int -> int
lists.range: int -> list(int)
lowerAscii: .string -> string
major: .Semver -> int
masked: .CIDR -> CIDR
matches: string string -> bool; .string string -> bool
minor: .Semver -> int
name: .ResourceCheck string -> ResourceCheck
namespace: .ResourceCheck string -> ResourceCheck
optional.none: -> optional(V)
optional.of: V -> optional(V)
optional.ofNonZeroValue: V -> optional(V)
optional.unwrap: list(optional(V)) -> list(V)
or: .optional(V) optional(V) -> optional(V)
orValue: .optional(V) V -> V
patch: .Semver -> int
path: .Authorizer string -> PathCheck
prefixLength: .CIDR -> int
quantity: string -> Quantity
reason: .Decision -> string
replace: .string string string -> string; .string string string int -> string
resource: .GroupCheck string -> ResourceCheck
reverse: .list(T) -> list(T)
semver: string -> Semver; string bool -> Semver
serviceAccount: .Authorizer string string -> Authorizer
sets.contains: list(T) list(T) -> bool
sets.equivalent: list(T) list(T) -> bool
sets.intersects: list(T) list(T) -> bool
sign: Quantity -> int
size: bytes -> int; .bytes -> int; list(A) -> int; .list(A) -> int; map(A,B) -> int; .map(A,B) -> int; string -> int;
  .string -> int
slice: .list(T) int int -> list(T)
split: .string string -> list(string); .string string int -> list(string)
startsWith: .string string -> bool
string: string -> string; bool -> string; bytes -> string; double -> string; duration -> string; int -> string;
  timestamp -> string; uint -> string; IP -> string; CIDR -> string
strings.quote: string -> string
sub: .Quantity Quantity -> Quantity; .Quantity int -> Quantity
subresource: .ResourceCheck string -> ResourceCheck
substring: .string int -> string; .string int int -> string
timestamp: timestamp -> timestamp; int -> timestamp; string -> timestamp
trim: .string -> string
type: A -> type(A)
uint: uint -> uint; double -> uint; int -> uint; string -> uint
unwrapOpt: .list(optional(V)) -> list(V)
upperAscii: .string -> string
url: string -> URL
validate: .NamedFormat string -> optional(list(string))
value: .optional(V) -> V
"""
"""`name: parameters -> result; …`. A method's first parameter, what it is called on, begins with a dot; single capitals
stand for any type. Continued lines are indented.
"""

_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_SORTABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_NUMERIC = ("int", "uint", "double")
_CALENDAR = ("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth")


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    member: bool
    parameters: tuple[Type, ...]
    result: Type
    variables: tuple[str, ...]
    """The names of its type parameters."""

    @property
    def takes(self) -> tuple[str, ...]:
        """The kinds of its parameters, by which overloads are told apart."""
        return tuple(parameter.kind for parameter in self.parameters)


def _signature(name: str, text: str) -> Signature:
    left, _, result = text.strip().partition("->")
    member = left.startswith(".")
    parameters = tuple(map(parsed, left.removeprefix(".").split()))
    types = (*parameters, parsed(result.strip()))
    variables = sorted({name for part in types for name in part.variables()})
    return Signature(name, member, parameters, types[-1], tuple(variables))


@cache
def signatures() -> dict[str, tuple[Signature, ...]]:
    """By name, in the order in which overloads are tried."""
    found: dict[str, list[Signature]] = {}

    def add(name: str, text: str) -> None:
        found.setdefault(name, []).append(_signature(name, text))

    for line in _TABLE.replace("\n  ", " ").strip().splitlines():
        name, _, overloads = line.partition(": ")
        for text in overloads.split("; "):
            add(name, text)
    for operator in ("_<_", "_<=_", "_>_", "_>=_"):
        for left in _ORDERED:
            for right in _NUMERIC if left in _NUMERIC else (left,):
                add(operator, f"{left} {right} -> bool")
    for kind in _SORTABLE:
        add("isSorted", f".list({kind}) -> bool")
        add("min", f".list({kind}) -> {kind}")
        add("max", f".list({kind}) -> {kind}")
        add("sort", f".list({kind}) -> list({kind})")
        add("@sortByAssociatedKeys", f".list(T) list({kind}) -> list(T)")
    for kind in (*_NUMERIC, "duration"):
        add("sum", f".list({kind}) -> {kind}")
    for name in _CALENDAR:
        add(name, ".timestamp -> int")
        add(name, ".timestamp string -> int")
    return {name: tuple(overloads) for name, overloads in found.items()}
