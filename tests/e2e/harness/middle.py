# SPDX-License-Identifier: MIT
"""A plain relay between the two endpoints that can do to a subflow what networks do."""

import contextlib
import socket
import threading

from . import net


class Link:
    """One relayed connection; both directions are treated alike."""

    def __init__(self, near, far, slice_bytes, record):
        self.near, self.far = near, far
        self._slice = slice_bytes
        self.recorded = {near: bytearray(), far: bytearray()} if record else {}
        self._open = threading.Event()
        self._open.set()
        self._alive = True
        self.carried = 0

    def start(self):
        """Begins to relay."""
        for source, sink in ((self.near, self.far), (self.far, self.near)):
            threading.Thread(target=self._run, args=(source, sink), daemon=True).start()

    def _run(self, source, sink):
        try:
            while data := source.recv(self._slice):
                self._open.wait()
                if not self._alive:
                    return
                if self.recorded:
                    self.recorded[source].extend(data)
                sink.sendall(data)
                self.carried += len(data)
            if self._alive:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.reset()

    def freeze(self):
        """Nothing passes any more, and nobody is told: a black hole."""
        self._open.clear()

    def thaw(self):
        """What was held passes, and all that follows."""
        self._open.set()

    def _end(self, close):
        self._alive = False
        self._open.set()
        for sock in (self.near, self.far):
            with contextlib.suppress(OSError):
                close(sock)

    def reset(self):
        """Ends it with a RST to both sides."""
        self._end(net.abort)

    def finish(self):
        """Ends it with a FIN to both sides, wherever in a frame that may be."""
        self._end(lambda sock: sock.shutdown(socket.SHUT_RDWR))

    def alive(self):
        """Whether it relays still."""
        return self._alive and self.near.fileno() >= 0


class Middle:
    """
    Listens, and relays every connection to an address; slice_bytes is the most at a time.

    record: what each link's ends have sent is kept, by their sockets.
    """

    def __init__(self, to, slice_bytes=65536, record=False):
        self._to = to
        self._record = record
        self._slice = slice_bytes
        self.links = []
        self.refusing = False
        self._socket = socket.socket()
        self._socket.bind(('127.0.0.1', 0))
        self._socket.listen(128)
        self.address = net.text(self._socket.getsockname())
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            if self.refusing:
                net.abort(near)
                continue
            try:
                far = net.connect(self._to)
            except OSError:
                net.abort(near)
                continue
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for sock in (near, far):
                sock.settimeout(None)
            link = Link(near, far, self._slice, self._record)
            self.links.append(link)
            link.start()

    def close(self):
        """Ends everything."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for link in self.links:
            link.reset()
