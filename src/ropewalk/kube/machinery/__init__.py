"""API machinery: what every kind shares. Knows no kind by name; what is particular stands in `ropewalk.kube.kinds`."""
