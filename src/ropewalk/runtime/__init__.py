"""The controllers' kit: tables, informers, work queues, reconcile loops, leases. Knows nothing of AWS or Kubernetes."""
