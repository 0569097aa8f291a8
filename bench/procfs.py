# SPDX-License-Identifier: MIT
"""What /proc says about processes and sockets."""

import os

TICKS = os.sysconf("SC_CLK_TCK")
ESTABLISHED = 1
LISTEN = 10


def _stat(pid):
    """The fields of /proc/PID/stat from the third on: the second may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def cpu_seconds(pid):
    """User and system time of a process, all its threads and its children that were waited for."""
    return sum(int(field) for field in _stat(pid)[11:15]) / TICKS


def running_seconds(pid):
    """The same of a process's living threads alone, to the nanosecond."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def children(pid):
    """The pids of a process's living children."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if int(_stat(entry)[1]) == pid:
                found.append(int(entry))
        except OSError:
            continue  # it ended meanwhile
    return found


def memory(pid, field):
    """A size of /proc/PID/status in bytes: VmRSS, or VmHWM, its peak. 0 for one that ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def sockets(port, state, pid="self"):
    """How many IPv4 sockets of a process's network namespace have this local port and state."""
    count = 0
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            fields = line.split()
            if int(fields[3], 16) == state and int(fields[1].partition(":")[2], 16) == port:
                count += 1
    return count


def sysctl(name, value=None):
    """Reads a sysctl, or sets it; None when this kernel or user cannot."""
    path = "/proc/sys/" + name.replace(".", "/")
    try:
        if value is not None:
            with open(path, "w", encoding="ascii") as file:
                file.write(value)
        with open(path, encoding="ascii") as file:
            return " ".join(file.read().split())
    except OSError:
        return None
