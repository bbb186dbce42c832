"""THE WAIST. What an ECS task and a Kubernetes pod both become, and what both families share: Workload, Machine,
Interface, Volume, and the words the agent protocol is spoken in.

Records only: frozen structs and pure functions on them. Knows neither ECS nor Kubernetes. The table of what a task and
a pod become, field by field, is `docs/workload.md`.
"""
