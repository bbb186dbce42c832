#!/usr/bin/env bash
# Make the virtual environment: tools/setup.sh PYTHON VENV. Idempotent; quick when done.
set -euo pipefail
python=$1 venv=$2
cd "$(dirname "$0")/.."

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Ropewalk needs Python 3.11 or newer; name one with: make setup PYTHON=/path/to/python3" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    # Debian's python3 comes without ensurepip: say which package brings it.
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        rm -rf "$venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get install -y -qq python3-venv >/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; }
            "$python" -m venv "$venv"
        else
            echo "This Python cannot make virtual environments. On Debian: sudo apt-get install python3-venv" >&2
            exit 1
        fi
    fi
fi
echo "Installing the pinned packages into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
"$venv/bin/python" tools/protogen.py
"$venv/bin/python" tools/kubectl.py
# Byte code in advance: the first `ropewalk up --simulated` is then as quick as every later one.
"$venv/bin/python" -m compileall -q src
