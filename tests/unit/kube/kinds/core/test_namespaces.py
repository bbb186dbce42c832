import pytest

from ropewalk.kube.kinds.core.namespaces import Namespaces
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

KIND = Namespaces()
ONE: Object = {"metadata": {"name": "one"}}


def test_a_new_namespace_is_active_named_and_held() -> None:
    made = created(KIND, {**ONE, "status": {"phase": "Terminating"}})
    assert made["status"] == {"phase": "Active"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "one"}
    assert KIND.is_held(made)


def test_its_name_label_cannot_be_taken_away() -> None:
    old = created(KIND, ONE)
    new = updated(KIND, changed(old, "metadata", "labels", {"kubernetes.io/metadata.name": "other", "a": "b"}), old)
    assert new["metadata"]["labels"] == {"kubernetes.io/metadata.name": "one", "a": "b"}


@pytest.mark.parametrize(("name", "good"), [("kube-system", True), ("a.b", False), ("x" * 64, False), ("0", True)])
def test_names_are_labels(name: str, good: bool) -> None:
    assert (KIND.name_problems(name, prefix=False) == []) is good


@pytest.mark.parametrize(
    ("finalizer", "wrong"),
    [
        ("example.com/mine", []),
        ("kubernetes", []),
        (
            "mine",
            [
                'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully'
                " qualified"
            ],
        ),
    ],
)
def test_finalizers(finalizer: str, wrong: list[str]) -> None:
    assert creation(KIND, {**ONE, "spec": {"finalizers": [finalizer]}}) == wrong


def test_only_the_finalize_subresource_changes_finalizers() -> None:
    old = created(KIND, ONE)
    without = changed(old, "spec", "finalizers", None)
    assert updated(KIND, without, old)["spec"] == old["spec"]
    assert update(KIND, without, old) == []
    new = changed(without, "status", "phase", "Terminating")
    KIND.prepare_finalize(new, old)
    assert new["status"] == old["status"] and not KIND.is_held(new)
    errors = FieldErrors()
    KIND.validate_finalize({"spec": {"finalizers": ["odd"]}}, old, errors)
    assert [cause.field for cause in errors.causes] == ["spec.finalizers[0]"]


def test_deleting_one_begins_with_its_phase() -> None:
    made = created(KIND, ONE)
    shared = copied(made)
    KIND.begin_deletion(made)
    assert made["status"]["phase"] == "Terminating" and shared["status"]["phase"] == "Active"
    assert cells(KIND, made)["Status"] == KIND.selectable_fields["status.phase"](made) == "Terminating"


@pytest.mark.parametrize(
    ("phase", "deleted", "wrong"),
    [
        ("Active", False, []),
        ("Terminating", True, []),
        (
            "Terminating",
            False,
            [
                "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
            ],
        ),
        (
            "Active",
            True,
            ["status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"],
        ),
    ],
)
def test_rules_of_the_phase(phase: str, deleted: bool, wrong: list[str]) -> None:
    old = created(KIND, ONE)
    if deleted:
        old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert status_update(KIND, {"phase": phase}, old) == wrong
