"""Which pods are alike for those who judge them: a workload's pods differ in their names, which few rules ask about.

What was said of the first of them need not be found out again for the next thousand (`machinery.remembered`).
"""

from __future__ import annotations

import re

import orjson

from ropewalk.kube.machinery.objects import Object, annotations_of

_TOKEN_VOLUME = re.compile(rb'"kube-api-access-[b-z2-9]{5}"')
"""As the ServiceAccount admission plug-in names the volume that it adds to each pod."""
_ANY_TOKEN_VOLUME = b'"kube-api-access-*"'
"""No name of a volume: nothing that is accepted has it."""
_CLAIMS_TEMPLATE = b'"ephemeral":'


def likeness_of(pod: Object) -> bytes | None:
    """Equal for pods of which the rules and warnings say the same, names apart; None for those whose own name counts.

    A pod's spec and annotations, with one name for the volume of its token. (Where there are two such volumes both keep
    theirs: they must not look like one volume named twice.)
    """
    try:
        text = orjson.dumps((pod.get("spec"), annotations_of(pod)))
    except TypeError:  # no JSON: a string that is no UTF-8
        return None
    if _CLAIMS_TEMPLATE in text:  # claims are named after their pod
        return None
    found = set(_TOKEN_VOLUME.findall(text))
    return text.replace(found.pop(), _ANY_TOKEN_VOLUME) if len(found) == 1 else text
