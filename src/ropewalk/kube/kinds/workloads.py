"""What every kind with a selector over its own pod template has in common: the two must agree, and pods are named
after it.
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.pod_template_rules import template_warnings, validate_pod_template
from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, metadata, name_of

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
TEMPLATE = SPEC / "template"


def validate_selector(spec: Object, kind: str, path: Path, errors: FieldErrors) -> None:
    """A selector there must be, and it must select."""
    selector = spec.get("selector")
    if selector is None:
        errors.required(path / "selector")
        return
    selectors.validate_label_selector(selector, path / "selector", errors)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.invalid(path / "selector", selector, f"empty selector is invalid for {kind}")


def parsed_selector(spec: Object, path: Path, errors: FieldErrors, complaint: str) -> selectors.LabelSelector | None:
    """None, with `complaint` made, where the selector cannot be read at all."""
    found = FieldErrors()
    selectors.validate_label_selector(spec.get("selector"), path, found)
    if found:
        errors.invalid(path / "selector", spec.get("selector"), complaint)
        return None
    return selectors.label_selector_of(spec.get("selector"))


def is_empty(spec: Object) -> bool:
    """The selector stands there and asks for nothing."""
    selector = spec.get("selector")
    return selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")


def validate_labels_match(selector: selectors.LabelSelector, template: Object, path: Path, errors: FieldErrors) -> None:
    labels = metadata(template).get("labels")
    if not selector.matches(labels or {}):
        errors.invalid(path / "metadata" / "labels", labels, "`selector` does not match template `labels`")


def validate_lasting_pods(template: Object, kind: str, path: Path, errors: FieldErrors) -> None:
    """Pods that are to run for ever."""
    spec = template.get("spec") or {}
    if spec.get("restartPolicy") != "Always":
        errors.not_supported(path / "spec" / "restartPolicy", spec.get("restartPolicy", ""), ("Always",))
    if "activeDeadlineSeconds" in spec:
        errors.forbidden(path / "spec" / "activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def validate_replicated_template(spec: Object, path: Path, errors: FieldErrors) -> None:
    """The template of a Deployment or ReplicaSet."""
    selector = parsed_selector(spec, path, errors, "invalid label selector")
    if selector is None:
        return
    template = spec.get("template") or {}
    if not is_empty(spec):
        validate_labels_match(selector, template, path / "template", errors)
    validate_pod_template(template, path / "template", errors)
    validate_lasting_pods(template, "ReplicaSet", path / "template", errors)


def name_warnings(obj: Object) -> list[str]:
    problems = names.dns1123_label(name_of(obj))
    if not problems:
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label"
        f" is recommended: [{' '.join(problems)}]"
    ]


def warnings_of_template(new: Object, old: Object | None) -> list[str]:
    """At creation, and whenever the spec changed."""
    if old is not None and metadata(new).get("generation") == metadata(old).get("generation"):
        return []
    before = None if old is None else (old.get("spec") or {}).get("template")
    return list(template_warnings((new.get("spec") or {}).get("template") or {}, TEMPLATE, before))
