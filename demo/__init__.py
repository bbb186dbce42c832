"""`make demo`: the lecture's task, for real."""
