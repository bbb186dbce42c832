#!/usr/bin/env bash
# Stop everything and remove all that set-up and use have made: tools/uninstall.sh BIN.
set -euo pipefail
bin=$1
cd "$(dirname "$0")/.."
if [ -x "$bin/ropewalk" ]; then
    "$bin/ropewalk" kube down --all --forget # they need no root, and lie in this user's own folder
    tools/as-root.sh "make uninstall stops what runs and removes its state" "$bin/ropewalk" reset --yes --parts
fi
rm -rf "${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk" # programs that the tests unpacked
rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
find . -name __pycache__ -type d -prune -exec rm -rf {} +
find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
find src -name _generated -type d -prune -exec rm -rf {} +
echo "Removed. Nothing of Ropewalk is left but this folder."
