"""Composition: what runs in which process, and who keeps it running."""
