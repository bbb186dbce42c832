"""What our processes inherit. Needs nothing imported: a command may start one as its first act."""

from __future__ import annotations

from collections.abc import Mapping

_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_ARENA_MAX": "1",
}
"""An answer of some megabytes is made in memory that the process has already: else glibc asks the kernel for each,
gives it back at once, and the kernel clears every page again. Larger ones are still given back. One arena for all
threads, of which only one runs at a time: a store is loaded by another thread than the one that then uses it.
https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
"""


def passed_on(inherited: Mapping[str, str]) -> dict[str, str]:
    """All but the wish not to compile: what starts us often is worth compiling once, whatever suits the caller's own
    scripts. With it, unless the caller knows better, how glibc is to keep memory.
    """
    kept = {name: value for name, value in inherited.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**_MEMORY, **kept}
