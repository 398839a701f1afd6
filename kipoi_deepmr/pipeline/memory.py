"""How much memory this process can have."""

import os
import resource

V2, V1 = "memory.max", os.path.join("memory", "memory.limit_in_bytes")  # limits of a control group


def memory_of_machine(cgroups="/sys/fs/cgroup", process="/proc/self"):
    """Bytes of memory that this process can have: of the machine, of its control groups, or of its own limit.

    Parameters
    ----------
    cgroups, process : str
        Where the system tells of control groups and of this process.
    """
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_of_control_groups(cgroups, process)]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)  # `ulimit -v`
    if limit != resource.RLIM_INFINITY:
        known.append(max(0, limit - _without_memory(process)))
    return min(known)


def _of_control_groups(cgroups, process):
    """Limits of the groups that this process is in, from its own up to the first."""
    for folder, name in _groups(process):
        while True:
            text = _read(os.path.join(cgroups, os.path.dirname(name), folder.lstrip("/"), os.path.basename(name)))
            if text.isdigit():
                yield int(text)
            if folder in ("", "/"):
                break
            folder = os.path.dirname(folder)


def _groups(process):
    """Folder of this process's group of memory, and name of the file of its limit, in both versions."""
    yield from (("/", V2), ("/", V1))  # a container shows its own group as the first
    for line in _read(os.path.join(process, "cgroup")).splitlines():
        number, controllers, folder = (*line.split(":", 2), "", "")[:3]
        if number == "0" or "memory" in controllers.split(","):
            yield folder, V2 if number == "0" else V1


def _without_memory(process):
    """Bytes of addresses of this process that hold no memory yet, such as those of libraries."""
    addresses, resident = (*map(int, _read(os.path.join(process, "statm")).split()[:2]), 0, 0)[:2]
    return (addresses - resident) * os.sysconf("SC_PAGE_SIZE")


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
