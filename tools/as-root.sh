#!/usr/bin/env bash
# Run a command as root: tools/as-root.sh "WHY" COMMAND…. Asks once, says why, and does nothing where we are root already.
set -euo pipefail
why=$1
shift
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ]; then
    exec "$@"
fi
if ! command -v sudo >/dev/null; then
    echo "$why: run it as root (no sudo found), or try: .venv/bin/ropewalk up --simulated" >&2
    exit 1
fi
echo "$why: sudo may ask for your password."
exec sudo --preserve-env=ROPEWALK_HOME,ROPEWALK_PARTS "$@"
