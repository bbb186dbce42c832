#!/usr/bin/env bash
# Which Python to build on: the system's own where it will do, else `python3`. Distributions build theirs with
# profile-guided optimisation; version managers by default do not, and take up to twice the time for the same work
# (docs/performance.md has figures).
set -euo pipefail
system=/usr/bin/python3

can_make_environments() {
    "$system" -c 'import ensurepip' 2>/dev/null || { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
}

if "$system" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && can_make_environments; then
    echo "$system"
else
    echo python3
fi
