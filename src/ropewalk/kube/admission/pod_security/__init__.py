"""Pod Security admission: `checks` say what a pod violates, `levels` what a namespace asks for, `plugin` refuses.
https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""
