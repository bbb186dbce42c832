"""The group `apiextensions.k8s.io`: definitions of custom resources. What becomes of them: `kube.extension`."""

from __future__ import annotations

from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CustomResourceDefinitions
from ropewalk.kube.kinds.apiextensions.definition_rules import SchemaRules
from ropewalk.kube.machinery.strategy import Strategy


def strategies(schema_rules: SchemaRules) -> dict[str, Strategy]:
    """`schema_rules` judge a definition's schemas."""
    return {"customresourcedefinitions": CustomResourceDefinitions(schema_rules)}
