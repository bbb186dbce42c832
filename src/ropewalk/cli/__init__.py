"""The `ropewalk` command."""
