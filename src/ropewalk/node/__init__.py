"""The machine agent: the ECS container agent and the kubelet in one. Knows only the waist's Workload."""
