"""Protobuf bodies of built-in kinds, read as the objects that the same client would have sent in JSON. Pure.

The wire tells numbers and lengths alone; names and types are those of the definitions' schemas, joined with a table of
numbers that the caller brings (`kinds.field_numbers`), so that this knows no kind. Nothing is encoded: answers stay
JSON. https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""
