"""Ropewalk: Amazon ECS and Amazon EKS over one runtime, on your own Linux machines.

Layers, top to bottom (an import may only point downwards; `make check` enforces it):

    daemon, cli                composition: the only code that knows everything
    services                   slices: one AWS service each; siblings never import each other
    aws                        the AWS front: specs, request chain, protocols, SigV4, IAM decision
    agents · node · network    the agent protocol's control-plane end; effects: agent, runtime, fabric, DNS
    planning                   pure decisions: placement, workload life cycle
    model                      THE WAIST: Workload, Machine, Interface, Volume
    runtime                    controllers: informer, queue, reconcile, leases, events
    store                      revisioned keys and watches: memory, SQLite, etcd
    base                       clock, ids, errors, config, logging, HTTP
"""

__version__ = "0.1.0"
