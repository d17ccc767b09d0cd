"""How much memory there is."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def memory_limit():
    """The bytes that this process may have: the machine's, or fewer by the limit of a container.

    Infinite where nobody says.
    """
    return min(_physical_memory(), _cgroup_limit())


def _physical_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _cgroup_limit():
    """The least limit of the control groups that this process is in, and of those around them."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:
        return math.inf
    limit = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Within a container the path may be the host's, and its limit that of the root.
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            limit = min(limit, _number_in(folder / name))
            if folder == root:
                break
    return limit


def _number_in(file):
    try:
        text = file.read_text()
        return math.inf if text.strip() == "max" else int(text)
    except (OSError, ValueError):
        return math.inf
