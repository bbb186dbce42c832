"""Measurements, as ratios taken side by side in one run. `make bench` runs all; `python -m bench NAME…` some.

A module here has `title` and `run() -> list[Row]`. Nothing asserts: machines differ, and a slow day is not a bug. What
was found, and when, is written down in docs/performance.md.
"""
