# SPDX-License-Identifier: MIT
"""What happens on the paths during a transfer: a line for each path at every sample.

Beside the link's own figures stand the kernel's about the connections that send on it; a path with
several has a line for each.
"""

import re
import threading
import time

INTERVAL = 0.05  # seconds
FIELDS = ("cwnd", "ssthresh", "unacked", "notsent", "rtt", "minrtt", "rto", "retrans", "lost")
HEAD = ("seconds", "path", "Mbit/s", "queue", *FIELDS)


def _connections(side, ports):
    """{path: [{field: text}]} of the connections that leave from a side."""
    found = {}
    for line in side.run("ss", "-tinHO", "state", "established").splitlines():
        words = line.split()
        local, peer = words[2:4]
        index = re.match(r"10\.77\.(\d+)\.", local if not local.startswith("10.77.0.") else peer)
        if index is None or not ({local.rpartition(":")[2], peer.rpartition(":")[2]} & ports):
            continue
        fields = dict(re.findall(r"\b([a-z]+):([\d./]+)", line))
        found.setdefault(int(index.group(1)), []).append(fields)
    return found


class Trace:
    """Samples while the "with" lasts; way: the lane of the data, "ab" or "ba"."""

    def __init__(self, file, lock, rig, title, way, ports):
        self.file = file
        self.lock = lock
        self.rig = rig
        self.title = title
        self.way = way
        self.ports = {str(port) for port in ports}
        self.lines = []
        self._before = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        with self.lock:
            self.file.write(f"# {self.title}\n# " + "\t".join(HEAD) + "\n")
            self.file.write("".join(line + "\n" for line in self.lines))
            self.file.flush()

    def _run(self):
        due = self._begin
        while not self._done.wait(max(0, due - time.monotonic())):
            self._sample()
            due = max(due + INTERVAL, time.monotonic())

    def _sample(self):
        lab = self.rig.lab
        now = time.monotonic()
        stats = lab.emulator.stats()
        sending = _connections(lab.client if self.way == "ab" else lab.server, self.ports)
        before, self._before = self._before, (now, stats)
        if before is None:
            return
        for path in lab.paths:
            one, then = (both[str(path.index)][self.way] for both in (stats, before[1]))
            rate = (one["out_bytes"] - then["out_bytes"]) * 8 / (now - before[0]) / 1e6
            link = [f"{now - self._begin:.3f}", str(path.index), f"{rate:.1f}"]
            link.append(str(one["queued_bytes"]))
            for fields in sending.get(path.index) or [{}]:
                self.lines.append("\t".join(link + [fields.get(name, "-") for name in FIELDS]))
