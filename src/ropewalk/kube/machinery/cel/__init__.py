"""CEL, the expression language of admission policies, match conditions and custom resources' rules.

`environment` is the way in: an `Environment` compiles, a `Program` evaluates.
https://kubernetes.io/docs/reference/using-api/cel/
"""
