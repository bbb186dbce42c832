"""Kubernetes: the API server, what is particular to each kind, and the controllers that make the API whole."""
