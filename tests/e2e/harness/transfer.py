# SPDX-License-Identifier: MIT
"""Transfers that run until they are told to stop, checked while they run."""

import socket
import threading

from . import net
from .pattern import DOWN, UP

SUBFLOWS = 4  # what a tunnel of one path keeps by default


class Pump:
    """Sends a pattern until stopped; the length it came to is then known."""

    def __init__(self, sock, pattern):
        self.sent = 0
        self._stop = threading.Event()
        self._end = net.background(self._run, sock, pattern)

    def _run(self, sock, pattern):
        while not self._stop.is_set():
            self.sent += sock.send(pattern.at(self.sent, 32 * 1024))
        sock.shutdown(socket.SHUT_WR)

    def stop(self):
        """Ends the stream; returns its length."""
        self._stop.set()
        self._end.result(net.DEADLINE)
        return self.sent


class Check:
    """Receives a pattern to its end and checks it; how far it came can be seen at any time."""

    def __init__(self, sock, pattern):
        self.received = 0
        self._end = net.background(self._run, sock, pattern)

    def _run(self, sock, pattern):
        while True:
            data = sock.recv(net.CHUNK)
            if not data:
                return self.received
            pattern.check(self.received, data)
            self.received += len(data)

    def result(self):
        """The length, once the end has come."""
        return self._end.result(net.DEADLINE)

    def wait_more(self, more):
        """Waits until so many more bytes have come."""
        goal = self.received + more

        def look():
            if self._end.done():
                self._end.result()
            return self.received >= goal
        net.wait_for(look, f'{more} more bytes (at {self.received})')


class Transfer:
    """A session with bytes running both ways until it is finished."""

    def __init__(self, tunnel, target):
        self.client, self.served = tunnel.connect(), target.accept()
        self.up, self.down = Pump(self.client, UP), Pump(self.served, DOWN)
        self.up_check, self.down_check = Check(self.served, UP), Check(self.client, DOWN)
        self._tunnel = tunnel

    def wait_subflows(self, number=SUBFLOWS):
        """Waits until so many subflows are established; their local ports."""
        return net.wait_for(lambda: (lambda found: found if len(found) == number else None)
                            (self._tunnel.subflows()), f'{number} subflows')

    def wait_more(self, more=1 << 20):
        """Waits until bytes have come in both directions."""
        self.up_check.wait_more(more)
        self.down_check.wait_more(more)

    def finish(self):
        """Ends both directions and compares what came with what was sent."""
        up, down = self.up.stop(), self.down.stop()
        assert (self.up_check.result(), self.down_check.result()) == (up, down)
