"""Amazon ECS: clusters, task definitions, tasks. Knows no other slice; lowers tasks to the waist's workloads.

Importing the package registers every operation. `assemble` makes the slice over a store, `seed` its first records,
`controllers` what must run.
"""

from __future__ import annotations

from ropewalk.runtime.controller import Runnable
from ropewalk.services.ecs import account_settings, clusters, run_task, tagging, task_definitions, tasks
from ropewalk.services.ecs.clusters import seed
from ropewalk.services.ecs.slice import Ecs, assemble, operations
from ropewalk.services.ecs.task_controller import DefinitionReconciler, TaskReconciler

RESOURCES = (account_settings, clusters, run_task, tagging, task_definitions, tasks)


def controllers(ecs: Ecs) -> list[Runnable]:
    """Everything of the slice that runs: its caches first, then its reconcilers. Call once."""
    reconcilers = [TaskReconciler(ecs).controller, DefinitionReconciler(ecs).controller]
    return [ecs.task_heads, ecs.definition_heads, ecs.claims, ecs.statuses, ecs.machines, *reconcilers]


__all__ = ["RESOURCES", "Ecs", "assemble", "controllers", "operations", "seed"]
