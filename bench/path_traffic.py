#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Client and server of bench/paths, each in its namespace; a process for every connection, which the
server has at hand before it comes.

A client opens with one line of JSON that says what is to be done:

    {"id": "7", "mode": "bulk", "down": BYTES, "up": BYTES, "stop": SECONDS or null}
    {"id": "8", "mode": "echo"}

Bytes are position-dependent and compared on arrival. Either end leaves what it saw in ID.client or
ID.server in the given directory; times are CLOCK_MONOTONIC, which both share.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e"))
from harness.pattern import DOWN, UP  # pylint: disable=wrong-import-position

CHUNK = 256 * 1024
BIN = 0.05  # seconds: the timeline's resolution
ECHO = 64
GIVE_UP = 150  # seconds without a byte
SPARE = 4  # connections at the same time


class Receiver:
    """Reads so many bytes of a pattern, checks them, and knows when they came."""

    def __init__(self, sock, pattern, length, stop=None):
        self.sock = sock
        self.pattern = pattern
        self.length = length
        self.stop = stop  # monotonic time at which to give up on the rest
        self.offset = 0
        self.first = self.last = None
        self.gaps = []  # (seconds, monotonic time of its end, offset), the longest
        self.timeline = []
        self.error = None

    def run(self):
        """Until all has come, or the time has."""
        try:
            while self.offset < self.length:
                if self.stop is not None:
                    left = self.stop - time.monotonic()
                    if left <= 0:
                        return
                    self.sock.settimeout(left)
                data = self.sock.recv(min(CHUNK, self.length - self.offset))
                if not data:
                    raise ValueError(f"end of stream at {self.offset} of {self.length} bytes")
                self._note(data, time.monotonic())
        except TimeoutError:
            if self.stop is None:
                self.error = f"no byte for {GIVE_UP} s at {self.offset} of {self.length} bytes"
        except (OSError, ValueError, AssertionError) as error:
            self.error = str(error)

    def _note(self, data, now):
        if self.last is None:
            self.first = now
        elif now - self.last > 0.02:
            self.gaps.append((now - self.last, now, self.offset))
        self.last = now
        if data != bytes(self.pattern.at(self.offset, len(data))):
            self.pattern.check(self.offset, data)
        self.offset += len(data)
        place = int((now - self.first) / BIN)
        while len(self.timeline) <= place:
            self.timeline.append(0)
        self.timeline[place] += len(data)

    def report(self):
        """What there is to tell."""
        longest = sorted(self.gaps, reverse=True)[:5]
        return {
            "bytes": self.offset,
            "first": self.first,
            "last": self.last,
            "gaps": longest,
            "timeline": self.timeline,
            "error": self.error,
        }


def send(sock, pattern, length):
    """All of it; an error is the receiver's to tell."""
    offset = 0
    try:
        while offset < length:
            offset += sock.send(pattern.at(offset, min(CHUNK, length - offset)))
    except OSError:
        pass
    return offset


def exchange(sock, out, out_length, receiver):
    """Sends and receives at the same time."""
    sender = threading.Thread(target=send, args=(sock, out, out_length), daemon=True)
    if out_length > 0:
        sender.start()
    receiver.run()
    if out_length > 0 and receiver.error is None:
        # With a time to stop at the reader may be gone before all is written.
        stop = receiver.stop
        sender.join(None if stop is None else max(0, stop - time.monotonic()) + 0.2)


def leave(directory, name, result):
    """Writes a result so that it is there completely or not at all."""
    path = os.path.join(directory, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.rename(path + ".new", path)


def connect(address):
    sock = socket.create_connection(address, timeout=GIVE_UP)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def bulk(address, directory, request):
    """One transfer; the request's start is before connect()."""
    begin = time.monotonic()
    print(f"started {begin}", flush=True)
    sock = connect(address)
    sock.sendall(json.dumps({**request, "begin": begin}).encode() + b"\n")
    stop = begin + request["stop"] if request.get("stop") else None
    receiver = Receiver(sock, DOWN, request["down"], stop)
    exchange(sock, UP, request["up"], receiver)
    if stop is None and receiver.error is None:
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(GIVE_UP)
        if sock.recv(1) != b"":
            receiver.error = "bytes behind the end"
    leave(directory, request["id"] + ".client", {"begin": begin, **receiver.report()})


def echo(address, directory, request):
    """Round trips of 64 bytes, one after the other, for some seconds or a number of times."""
    begin = time.monotonic()
    print(f"started {begin}", flush=True)
    sock = connect(address)
    sock.sendall(json.dumps(request).encode() + b"\n")
    samples = []
    end = begin + request["seconds"]
    message = bytes(range(ECHO))
    while len(samples) < request.get("count", 1 << 30):
        start = time.monotonic()
        sock.sendall(message)
        got = b""
        while len(got) < ECHO:
            data = sock.recv(ECHO - len(got))
            if not data:
                raise ValueError("end of stream")
            got += data
        now = time.monotonic()
        if got != message:
            raise ValueError("wrong bytes")
        samples.append((now - start) * 1000)
        if len(samples) == 1:
            first = (now - begin) * 1000
        if now >= end:
            break
    sock.close()
    ordered = sorted(samples[1:]) or samples
    leave(
        directory,
        request["id"] + ".client",
        {
            "samples": len(samples),
            "first_ms": first,
            "p50_ms": statistics.median(ordered),
            "p99_ms": ordered[max(0, len(ordered) - 1 - len(ordered) // 100)],
            "error": None,
        },
    )


def serve_one(sock, directory):
    """What the first line asks for."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(GIVE_UP)
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            return
        line += byte
    request = json.loads(line)
    if request["mode"] == "echo":
        while data := sock.recv(CHUNK):
            sock.sendall(data)
        return
    stop = request["begin"] + request["stop"] if request.get("stop") else None
    receiver = Receiver(sock, UP, request["up"], stop)
    exchange(sock, DOWN, request["down"], receiver)
    leave(directory, request["id"] + ".server", receiver.report())
    if stop is None and receiver.error is None:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


def serve_next(listener, directory):
    """One connection, in a process of its own."""
    sock, _ = listener.accept()
    listener.close()
    try:
        serve_one(sock, directory)
    except (OSError, ValueError):
        pass


def serve(port, directory):
    """Until it is killed. Who accepts is there already: a fork takes as long as a round trip."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    done, done_by = os.pipe()
    with socket.create_server(("0.0.0.0", port), backlog=128) as listener:
        os.write(done_by, bytes(SPARE))
        print("listening", flush=True)
        while os.read(done, 1):
            if os.fork() != 0:
                continue
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            if os.getppid() == parent:
                serve_next(listener, directory)
                os.write(done_by, b"1")
            os._exit(0)


def main():
    gc.disable()
    command, directory = sys.argv[1:3]
    if command == "serve":
        serve(int(sys.argv[3]), directory)
    host, _, port = sys.argv[3].rpartition(":")
    request = json.loads(sys.argv[4])
    try:
        {"bulk": bulk, "echo": echo}[command]((host, int(port)), directory, request)
    except (OSError, ValueError) as error:
        leave(directory, request["id"] + ".client", {"error": f"{command}: {error}"})


if __name__ == "__main__":
    main()
