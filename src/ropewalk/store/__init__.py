"""Revisioned keys and watches: the one place where state lives. Knows nothing of what the values mean."""
