#!/usr/bin/env bash
# The whole suite: tools/test.sh BIN. Live tests need root; without it they are left out here, and said so.
set -euo pipefail
bin=$1
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ]; then
    exec "$bin/python" -m pytest tests --ignore=tests/soak
fi
echo "Not root: tests that run real containers are left out. For all of them: sudo make test"
exec "$bin/python" -m pytest tests --ignore=tests/soak -m "not live"
