"""What is particular to one kind: the table of resources, their shapes, and one file a kind with its rules."""
