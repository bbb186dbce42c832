"""Pods and workloads: what a pod becomes, and what its status says of what became of it. Pure, but for what writes
events. `docs/workload.md` is the table, field by field.
"""
