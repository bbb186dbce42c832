"""containerd, spoken to through CRI: the real `Runtime`.

CRI makes sandboxes and containers; containerd's own services beside it tell exits at once, send any signal and know
pids. It knows the waist's Workload; it may not know who wants it, nor how an interface comes into a namespace
(`HostNetwork`).
"""
