"""How every Describe works: by ids, by filters, page by page, over documents as the API shows them.

A filter is a name and a path into the document (`Routes[].GatewayId`): what is filtered is what is shown. Filters all
must hold, of a filter's values one; `*` and `?` match as in EC2, a backslash takes them literally. A filter that EC2
knows and whose member is never set matches nothing; one that EC2 does not know is refused. Pages follow the ids, so
that what comes and goes between two pages neither repeats nor hides the rest.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ropewalk.aws.operations import Params
from ropewalk.base.errors import Fault
from ropewalk.services.ec2.faults import combination, invalid, missing, not_found
from ropewalk.services.ec2.records import Tags

Values = Callable[[Params], Iterable[str]]

MAX_FILTER_VALUES = 200
SMALLEST_PAGE, LARGEST_PAGE = 5, 1000


def tag_list(tags: Tags) -> list[Params]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def values_at(document: object, path: str) -> Iterator[str]:
    """Every value at `path`, as filters spell it: booleans in lower case, numbers in digits."""
    if isinstance(document, list):
        for item in document:
            yield from values_at(item, path)
        return
    if not path:
        if isinstance(document, bool):
            yield "true" if document else "false"
        elif document is not None:
            yield str(document)
        return
    name, _, rest = path.partition(".")
    name = name.removesuffix("[]")
    if isinstance(document, dict) and name in document:
        yield from values_at(document[name], rest)


def _at(document: Params, path: str) -> Iterable[str]:
    return values_at(document, path)


def pattern(text: str) -> re.Pattern[str]:
    """EC2's wildcards as a regular expression over the whole value."""
    parts: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        elif character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def page_size(params: Params) -> int:
    """MaxResults, or the largest page. Not every operation's model bounds it. Raises InvalidParameterValue."""
    size: int | None = params.get("MaxResults")
    if size is None:
        return LARGEST_PAGE
    if not SMALLEST_PAGE <= size <= LARGEST_PAGE:
        raise invalid(
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value between {SMALLEST_PAGE} and {LARGEST_PAGE}."
        )
    return size


@dataclass(frozen=True, slots=True)
class Description:
    """How one kind of resource is described."""

    kind: str
    """Prefix of its ids."""
    ids: str
    """Parameter that names them."""
    id_member: str
    result: str
    filters: Mapping[str, str | Values]
    """Filter name to path, or to what gives the values where the document does not show them."""
    tags_member: str = "Tags"

    def answer(self, documents: Iterable[Params], params: Params) -> Params:
        """The response. Raises EC2's faults for unknown ids and filters, bad tokens and odd combinations."""
        wanted: list[str] = params.get(self.ids) or []
        if wanted and params.get("MaxResults"):
            raise combination(f"The parameter {self.ids} cannot be used with the parameter MaxResults")
        matches = [self._matcher(each) for each in params.get("Filters") or []]
        ordered = sorted(documents, key=self._id)
        if wanted:
            present = {self._id(document) for document in ordered}
            for name in wanted:
                if name not in present:
                    raise not_found(self.kind, name)
            chosen = set(wanted)
            ordered = [document for document in ordered if self._id(document) in chosen]
        kept = [document for document in ordered if all(match(document) for match in matches)]
        return self._page(kept, params)

    def _id(self, document: Params) -> str:
        return str(document[self.id_member])

    def _matcher(self, filter_: Params) -> Callable[[Params], bool]:
        name = filter_.get("Name")
        if not name:
            raise missing("Filter.Name")
        texts: list[str] = filter_.get("Values") or []
        if not texts:
            raise invalid(f"The filter '{name}' must have at least one value.")
        if len(texts) > MAX_FILTER_VALUES:
            raise Fault(
                "FilterLimitExceeded", f"The filter '{name}' has {len(texts)} values; at most {MAX_FILTER_VALUES}."
            )
        patterns = [pattern(text) for text in texts]
        values = self._values(name)
        return lambda document: any(p.fullmatch(value) for value in values(document) for p in patterns)

    def _values(self, name: str) -> Values:
        tags = self.tags_member
        if name.startswith("tag:"):
            key = name[4:]
            return lambda document: (tag["Value"] for tag in document.get(tags, ()) if tag["Key"] == key)
        if name == "tag-key":
            return lambda document: (tag["Key"] for tag in document.get(tags, ()))
        if name == "tag-value":
            return lambda document: (tag["Value"] for tag in document.get(tags, ()))
        path = self.filters.get(name)
        if path is None:
            raise invalid(f"The filter '{name}' is invalid")
        if isinstance(path, str):
            return partial(_at, path=path)
        return path

    def _page(self, documents: list[Params], params: Params) -> Params:
        after = _after(params.get("NextToken") or "")
        size = page_size(params)
        rest = [document for document in documents if self._id(document) > after] if after else documents
        answer: Params = {self.result: rest[:size]}
        if len(rest) > size:
            answer["NextToken"] = base64.urlsafe_b64encode(self._id(rest[size - 1]).encode()).decode()
        return answer


def _after(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Fault("InvalidPaginationToken", "The specified pagination token is not valid or is expired.") from None
