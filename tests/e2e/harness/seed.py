# SPDX-License-Identifier: MIT
"""A peer that speaks the seed's format, made from its description in doc/protocol.md.

It behaves as the seed's library does: a write is cut into one piece for each stream (1,024 bytes at
the least), streams without one get a ping, and all have to be done before the next write.
"""

import secrets
import socket
import struct
import threading

from . import net

DATA, PING, SHUTDOWN = 0, 1, 2
PIECE_MIN = 1024


def opening(session, streams):
    """What opens a subflow."""
    return struct.pack('>QQ', session, streams)


def data(offset, payload):
    """A message with bytes in it."""
    return struct.pack('>BQQ', DATA, offset, len(payload)) + payload


class Reader:
    """Puts what comes in on all streams in order."""

    def __init__(self):
        self.lock = threading.Condition()
        self.parts = {}
        self.messages = []  # (type, offset, length), as they came
        self.ends = []  # of each stream that ended: 'shutdown', 'end' or the error

    def read(self, sock):
        """Reads one stream to its end."""
        try:
            end = self._read(sock)
        except (OSError, ValueError, AssertionError) as error:
            end = error
        with self.lock:
            self.ends.append(end)
            self.lock.notify_all()

    def _read(self, sock):
        stream = sock.makefile('rb')
        while True:
            kind = stream.read(1)
            if not kind:
                return 'end'
            offset = length = 0
            if kind[0] == DATA:
                offset, length = struct.unpack('>QQ', stream.read(16))
                payload = stream.read(length)
                assert 0 < len(payload) == length, 'a message is cut short'
            elif kind[0] not in (PING, SHUTDOWN):
                raise ValueError(f'message {kind[0]}')
            with self.lock:
                self.messages.append((kind[0], offset, length))
                if length > 0:
                    before = self.parts.get(offset, b'')
                    self.parts[offset] = max(before, payload, key=len)
                self.lock.notify_all()
            if kind[0] == SHUTDOWN:
                assert stream.read(1) == b'', 'more behind shutdown'
                return 'shutdown'

    def content(self):
        """What has come, in order, up to the first gap."""
        with self.lock:
            parts = sorted(self.parts.items())
        whole = bytearray()
        for offset, payload in parts:
            if offset > len(whole):
                break
            whole += payload[len(whole) - offset:]
        return bytes(whole)

    def wait(self, streams):
        """Waits for the end of all streams; what has come, and how they ended."""
        with self.lock:
            done = self.lock.wait_for(lambda: len(self.ends) == streams, net.DEADLINE)
            assert done, f'{len(self.ends)} of {streams} streams have ended'
        return self.content(), self.ends


class Peer:
    """Streams of one session; it reads by itself, unless it is told not to."""

    def __init__(self, socks, reads=True):
        self.socks = socks
        self.next = 0
        self.reader = Reader()
        for sock in socks if reads else []:
            threading.Thread(target=self.reader.read, args=(sock,), daemon=True).start()

    def write(self, payload):
        """One write, as the seed has it: all streams, all done."""
        count = len(self.socks)
        size = max(-(-len(payload) // count), PIECE_MIN)
        pieces = [payload[at:at + size] for at in range(0, len(payload), size)]
        writes = []
        for i, sock in enumerate(self.socks):
            message = bytes([PING])
            if i < len(pieces):
                message = data(self.next + i * size, pieces[i])
            writes.append(net.background(sock.sendall, message))
        for one in writes:
            one.result(net.DEADLINE)
        self.next += len(payload)

    def shutdown(self):
        """The end, said."""
        for sock in self.socks:
            sock.sendall(bytes([SHUTDOWN]))
        self.bare_end()

    def bare_end(self):
        """The end as the seed's own programs make it."""
        for sock in self.socks:
            sock.shutdown(socket.SHUT_WR)

    def received(self):
        """Waits for the other end's end; what it sent, and how each stream ended."""
        return self.reader.wait(len(self.socks))

    def close(self):
        """Closes all."""
        for sock in self.socks:
            sock.close()


def connect(address, streams, reads=True):
    """A session of so many streams to an address."""
    session = secrets.randbits(64)
    socks = [net.connect(address) for _ in range(streams)]
    for sock in socks:
        sock.sendall(opening(session, streams))
    return Peer(socks, reads)


class Server:
    """Accepts one session, once all its streams are there."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(net.DEADLINE)
        self.address = net.text(self.listener.getsockname())

    def accept(self):
        """The session."""
        socks, openings = [], set()
        while True:
            sock = self.listener.accept()[0]
            sock.settimeout(net.DEADLINE)
            socks.append(sock)
            openings.add(net.recv_exact(sock, 16))
            assert len(openings) == 1, openings
            if len(socks) == struct.unpack('>QQ', *openings)[1]:
                return Peer(socks)

    def close(self):
        """Listens no more."""
        self.listener.close()
