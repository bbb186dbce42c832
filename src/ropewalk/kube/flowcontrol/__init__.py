"""API priority and fairness: whose request is served now, whose waits, whose is turned away.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
"""
