"""OpenAPI documents, v2 and v3, made from what is served: pure functions, and one object that keeps what they made."""
