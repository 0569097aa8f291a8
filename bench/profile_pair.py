# SPDX-License-Identifier: MIT
"""Where the endpoints' time goes under bulk, by perf (Debian's package: linux-perf)."""

import os
import shutil
import subprocess

from contestants import Failure, Process

SECONDS = 3
FORMAT = ("--stdio", "--no-children", "-g", "none", "-F", "overhead,dso,symbol")
LIMIT = ("--percent-limit", "0.5")


def _report(data, path):
    with open(path, "wb") as out:
        args = ["perf", "report", "--stdio", "-i", data, *FORMAT, *LIMIT]
        subprocess.run(args, stdout=out, stderr=subprocess.DEVNULL, check=False)


def profile(bench, pair, directory):
    """One connection each way; a report for each endpoint and direction in the directory."""
    if shutil.which("perf") is None:
        raise Failure("no profile: perf is not installed (Debian's package: linux-perf)")
    os.makedirs(directory, exist_ok=True)
    for direction in ("up", "down"):
        recorders = []
        for role, endpoint in zip(("remote", "local"), pair.endpoints):
            name = f"{role}-{direction}"
            data = os.path.join(directory, name + ".data")
            args = ["perf", "record", "-q", "-F", "1999", "-g", "-p", str(endpoint.pid), "-o", data]
            recorder = Process([*args, "--", "sleep", str(SECONDS)], bench.log)
            recorders.append((recorder, data, os.path.join(directory, name + ".txt")))
            bench.extra.append(recorder)
        bench.client(
            "bulk",
            SECONDS + 30,
            port=pair.entry,
            connections=1,
            direction=direction,
            seconds=SECONDS,
        )
        for recorder, data, path in recorders:
            recorder.popen.wait(timeout=30)
            _report(data, path)
        bench.end_extra()
