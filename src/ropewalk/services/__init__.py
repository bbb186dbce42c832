"""Slices: one AWS service a package, split by resource. Siblings never import each other."""
