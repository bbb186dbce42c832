"""What DELETE decides: finalizers, grace, propagation, preconditions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.registry import deletion
from ropewalk.kube.machinery.registry.deletion import DeleteOptions, Fate, decide
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.strategy import Strategy

NOW = 1_700_000_000.0
STAMP = "2023-11-14T22:13:20Z"
IN_30 = "2023-11-14T22:13:50Z"
INFO = ResourceInfo("", "v1", "Pod", "pods", "pod", True)
HOLD = "example.com/hold"


class Graceful(Strategy):
    def grace_seconds(self, obj: Object, asked: int | None) -> int | None:
        return 30 if asked is None else asked


class Orphans(Strategy):
    default_propagation = "Orphan"


class Held(Strategy):
    def is_held(self, obj: Object) -> bool:
        return bool(obj.get("held"))

    def begin_deletion(self, obj: Object) -> None:
        obj["begun"] = True


def thing(**metadata: Any) -> Object:
    return {"metadata": {"name": "a", "uid": "u", "resourceVersion": "5", **metadata}}


@pytest.mark.parametrize(
    ("finalizers", "options", "strategy", "fate", "left"),
    [
        ([], DeleteOptions(), Strategy, Fate.REMOVE, None),
        ([], DeleteOptions(propagation="Background"), Strategy, Fate.REMOVE, None),
        ([], DeleteOptions(propagation="Foreground"), Strategy, Fate.MARK, ["foregroundDeletion"]),
        ([], DeleteOptions(propagation="Orphan"), Strategy, Fate.MARK, ["orphan"]),
        ([], DeleteOptions(orphan_dependents=True), Strategy, Fate.MARK, ["orphan"]),
        ([], DeleteOptions(orphan_dependents=False), Orphans, Fate.REMOVE, None),
        ([], DeleteOptions(), Orphans, Fate.MARK, ["orphan"]),
        ([], DeleteOptions(propagation="Background"), Orphans, Fate.REMOVE, None),
        ([HOLD], DeleteOptions(), Strategy, Fate.MARK, [HOLD]),
        ([HOLD], DeleteOptions(propagation="Foreground"), Strategy, Fate.MARK, [HOLD, "foregroundDeletion"]),
        (["orphan"], DeleteOptions(), Strategy, Fate.MARK, ["orphan"]),
        (["orphan"], DeleteOptions(propagation="Background"), Strategy, Fate.REMOVE, []),
        (["orphan"], DeleteOptions(propagation="Foreground"), Strategy, Fate.MARK, ["foregroundDeletion"]),
        (["foregroundDeletion"], DeleteOptions(), Orphans, Fate.MARK, ["foregroundDeletion"]),
        (["foregroundDeletion", HOLD], DeleteOptions(propagation="Orphan"), Strategy, Fate.MARK, [HOLD, "orphan"]),
    ],
)
def test_finalizers_and_propagation(
    finalizers: list[str], options: DeleteOptions, strategy: type[Strategy], fate: Fate, left: list[str] | None
) -> None:
    verdict = decide(thing(finalizers=finalizers) if finalizers else thing(), strategy(), options, NOW)
    assert verdict.fate is fate
    if left is None:
        assert verdict.changed is None
        return
    assert verdict.changed is not None
    assert verdict.changed["metadata"].get("finalizers", []) == left
    if fate is Fate.MARK:
        assert verdict.changed["metadata"]["deletionTimestamp"] == STAMP
        assert verdict.changed["metadata"]["deletionGracePeriodSeconds"] == 0


@pytest.mark.parametrize(
    ("present", "asked", "fate", "stamp", "grace"),
    [
        (None, None, Fate.MARK, IN_30, 30),
        (None, 5, Fate.MARK, "2023-11-14T22:13:25Z", 5),
        (None, 0, Fate.REMOVE, STAMP, 0),
        (None, -7, Fate.MARK, "2023-11-14T22:13:21Z", 1),
        ((IN_30, 30), None, Fate.KEEP, None, None),
        ((IN_30, 30), 30, Fate.KEEP, None, None),
        ((IN_30, 30), 40, Fate.KEEP, None, None),
        ((IN_30, 30), 10, Fate.MARK, "2023-11-14T22:13:30Z", 10),
        ((IN_30, 30), 0, Fate.REMOVE, STAMP, 0),
        (("2023-11-14T22:13:22Z", 30), 5, Fate.MARK, STAMP, 1),
        ((STAMP, 0), None, Fate.REMOVE, None, None),
    ],
)
def test_grace(
    present: tuple[str, int] | None, asked: int | None, fate: Fate, stamp: str | None, grace: int | None
) -> None:
    about = {} if present is None else {"deletionTimestamp": present[0], "deletionGracePeriodSeconds": present[1]}
    verdict = decide(thing(**about), Graceful(), DeleteOptions(grace_seconds=asked), NOW)
    assert verdict.fate is fate
    if stamp is not None:
        assert verdict.changed is not None
        assert verdict.changed["metadata"]["deletionTimestamp"] == stamp
        assert verdict.changed["metadata"]["deletionGracePeriodSeconds"] == grace


def test_a_forced_end_waits_for_finalizers_all_the_same() -> None:
    verdict = decide(thing(finalizers=[HOLD]), Graceful(), DeleteOptions(grace_seconds=0), NOW)
    assert verdict.fate is Fate.MARK
    assert verdict.changed is not None and verdict.changed["metadata"]["deletionGracePeriodSeconds"] == 0


def test_what_its_kind_holds_stays_and_says_so_once() -> None:
    verdict = decide({**thing(), "held": True}, Held(), DeleteOptions(), NOW)
    assert verdict.fate is Fate.MARK and verdict.changed is not None
    assert verdict.changed["begun"] is True
    assert decide(copied(verdict.changed), Held(), DeleteOptions(), NOW + 9).fate is Fate.KEEP


@pytest.mark.parametrize("graceful", [False, True])
def test_the_beginning_of_an_end_is_a_generation(graceful: bool) -> None:
    strategy = Graceful() if graceful else Strategy()
    verdict = decide(thing(generation=3, finalizers=[HOLD]), strategy, DeleteOptions(), NOW)
    assert verdict.changed is not None and verdict.changed["metadata"]["generation"] == 4
    again = decide(copied(verdict.changed), strategy, DeleteOptions(grace_seconds=0), NOW)
    assert again.changed is not None and again.changed["metadata"]["generation"] == 4


METADATA = st.fixed_dictionaries(
    {},
    optional={
        "finalizers": st.lists(st.sampled_from([HOLD, "orphan", "foregroundDeletion"]), unique=True, min_size=1),
        "generation": st.integers(1, 3),
    },
)
OPTIONS = st.builds(
    DeleteOptions,
    grace_seconds=st.none() | st.integers(-1, 60),
    propagation=st.sampled_from(["", "Background", "Foreground", "Orphan"]),
)


@given(METADATA, OPTIONS, OPTIONS, st.sampled_from([Strategy, Graceful, Orphans]))
def test_deleting_twice_never_undoes_nor_delays(
    metadata: dict[str, Any], first: DeleteOptions, second: DeleteOptions, kind: type[Strategy]
) -> None:
    obj = thing(**metadata)
    before = copied(obj)
    verdict = decide(obj, kind(), first, NOW)
    assert obj == before, "what was given is left as it is"
    if verdict.fate is not Fate.MARK:
        assert not (verdict.changed or obj)["metadata"].get("finalizers"), "held by a finalizer, and removed"
        return
    marked = verdict.changed
    assert marked is not None and "deletionTimestamp" in marked["metadata"]
    assert not deletion.is_finished(marked, kind())
    again = decide(copied(marked), kind(), second, NOW + 1)
    if again.fate is Fate.MARK:
        assert again.changed is not None
        then, now = marked["metadata"], again.changed["metadata"]
        assert now["deletionGracePeriodSeconds"] <= then["deletionGracePeriodSeconds"]
        assert HOLD not in then.get("finalizers", []) or HOLD in now["finalizers"]
    elif again.fate is Fate.REMOVE:
        assert not (again.changed or marked)["metadata"].get("finalizers")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            DeleteOptions(uid="v"),
            "the UID in the precondition (v) does not match the UID in record (u). The object might have been"
            " deleted and then recreated",
        ),
        (
            DeleteOptions(resource_version="4"),
            "the ResourceVersion in the precondition (4) does not match the ResourceVersion in record (5). The object"
            " might have been modified",
        ),
    ],
)
def test_preconditions(options: DeleteOptions, text: str) -> None:
    with pytest.raises(errors.StatusFault) as refused:
        deletion.check_preconditions(thing(), INFO, options)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    assert refused.value.message == f'Operation cannot be fulfilled on pods "a": {text}'
    deletion.check_preconditions(thing(), INFO, DeleteOptions(uid="u", resource_version="5"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            DeleteOptions(propagation="Background", orphan_dependents=True),
            'Invalid value: "Background": orphanDependents and deletionPropagation cannot be both set',
        ),
        (DeleteOptions(propagation="Sideways"), 'propagationPolicy: Unsupported value: "Sideways": supported values:'),
    ],
)
def test_options_that_make_no_sense(options: DeleteOptions, text: str) -> None:
    with pytest.raises(errors.StatusFault) as refused:
        deletion.validate_options(options)
    assert refused.value.status == 422
    assert text in refused.value.message


@pytest.mark.parametrize(
    ("metadata", "finished"),
    [
        ({}, False),
        ({"deletionTimestamp": STAMP}, True),
        ({"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 0}, True),
        ({"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 30}, False),
        ({"deletionTimestamp": STAMP, "finalizers": [HOLD]}, False),
        ({"deletionTimestamp": STAMP, "finalizers": []}, True),
    ],
)
def test_when_an_update_ends_it(metadata: dict[str, Any], finished: bool) -> None:
    assert deletion.is_finished(thing(**metadata), Strategy()) is finished
