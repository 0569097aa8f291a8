# SPDX-License-Identifier: MIT
"""Hand-made bytes of protocol version 1 (doc/protocol.md), right and wrong ones."""

import contextlib
import os
import struct
import time

from . import net

PAD, HELLO, DATA, ACK, PING, PONG, FIN, RESET, CLOSE = range(9)
SUBFLOW_PRIORITY, SUBFLOW_CLOSE, PATH_ADD, PATH_REMOVE, CONNECT_RESULT = range(9, 14)
CREATE, BACKUP, REPLY = 1, 2, 4
MAX_U64 = 2**64 - 1
FIRST_LIMIT = 65536  # what each side may send before the first ACK


def preamble(session, magic=b'BRD', version=1, security=0, flags=0, number=0):
    """The 16 bytes that open a subflow."""
    return struct.pack('>Q3sBBBH', session, magic, version, security, flags, number)


def frame(kind, payload=b'', flags=0, length=None):
    """A frame; length lies when given."""
    return struct.pack('>BBH', kind, flags, len(payload) if length is None else length) + payload


def hello_payload(session, token, index=0, flags=CREATE, version=1, ack=0, limit=FIRST_LIMIT,
                  instance=0x1122334455667788, tlvs=b''):
    """The payload of HELLO: 53 bytes and what TLVs there are."""
    return struct.pack('>BHHQ16sQQQ', version, index, flags, session, token, ack, limit,
                       instance) + tlvs


def hello_fields(payload):
    """The fields of HELLO by name; the TLVs as they are."""
    names = ('version', 'index', 'flags', 'session', 'token', 'ack', 'limit', 'instance')
    return dict(zip(names, struct.unpack('>BHHQ16sQQQ', payload[:53]))) | {'tlvs': payload[53:]}


def tlv(kind, value=b'', length=None):
    """A TLV of HELLO; length lies when given."""
    return struct.pack('>HH', kind, len(value) if length is None else length) + value


def data(offset, payload, flags=0):
    """A DATA frame."""
    return frame(DATA, struct.pack('>Q', offset) + payload, flags)


def ack(acked, limit, counts=()):
    """An ACK frame; counts are (subflow, bytes received on it)."""
    payload = struct.pack('>QQ', acked, limit)
    return frame(ACK, payload + b''.join(struct.pack('>HQ', *count) for count in counts))


def fin(final):
    """A FIN frame."""
    return frame(FIN, struct.pack('>Q', final))


def reset(code, words=b''):
    """A RESET frame."""
    return frame(RESET, struct.pack('>H', code) + words)


class Subflow:
    """A hand-driven subflow: to the address of a remote endpoint, or on a socket that is there."""

    def __init__(self, to, session=None, token=None):
        self.socket = net.connect(to) if isinstance(to, str) else to
        self.name = net.text(self.socket.getsockname())
        self.session = session or int.from_bytes(os.urandom(8), 'big') | 1
        self.token = token or os.urandom(16)
        self._buffer = b''

    def send(self, *parts):
        """Sends bytes as they are; a peer that has closed already is no failure."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(b''.join(parts))

    def open(self, *more, **fields):
        """Sends the preamble, a good HELLO (but for the fields given), and more behind it."""
        payload = hello_payload(self.session, self.token, **fields)
        self.send(preamble(self.session), frame(HELLO, payload), *more)

    def join(self, index=1, **fields):
        """A second subflow of the same session that has sent its HELLO."""
        other = Subflow(net.text(self.socket.getpeername()), self.session,
                        fields.pop('token', self.token))
        other.open(index=index, flags=fields.pop('flags', 0), **fields)
        return other

    def _fill(self, end):
        self.socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            received = self.socket.recv(net.CHUNK)
        finally:
            self.socket.settimeout(net.DEADLINE)
        self._buffer += received
        return received != b''

    def receive(self, timeout=net.DEADLINE):
        """The next frame as (type, flags, payload); None when the subflow was closed."""
        end = time.monotonic() + timeout
        try:
            while True:
                if len(self._buffer) >= 4:
                    kind, flags, length = struct.unpack('>BBH', self._buffer[:4])
                    if len(self._buffer) >= 4 + length:
                        payload = self._buffer[4:4 + length]
                        self._buffer = self._buffer[4 + length:]
                        return kind, flags, payload
                if not self._fill(end):
                    return None
        except ConnectionError:
            return None

    def expect(self, kind, timeout=net.DEADLINE):
        """The payload of the next frame of a type; others before it are passed over."""
        end = time.monotonic() + timeout
        while True:
            received = self.receive(end - time.monotonic())
            assert received is not None, f'the subflow was closed while waiting for type {kind}'
            if received[0] == kind:
                return received[2]

    def expect_greeting(self):
        """The accepting side: reads preamble and HELLO, and takes their session and token."""
        opening = net.recv_exact(self.socket, 16)
        assert opening[8:12] == b'BRD\x01', f'not a preamble: {opening.hex()}'
        payload = self.expect(HELLO)
        self.session, self.token = struct.unpack('>Q16s', payload[5:29])
        assert opening[:8] == payload[5:13], 'the ids of preamble and HELLO differ'
        return hello_fields(payload)

    def answer(self, **fields):
        """The accepting side: a good HELLO back, but for the fields given."""
        fields.setdefault('flags', REPLY)
        self.send(frame(HELLO, hello_payload(self.session, self.token, **fields)))

    def expect_data(self, length):
        """The first length bytes of the stream, put together from DATA frames."""
        stream = b''
        while len(stream) < length:
            payload = self.expect(DATA)
            offset = struct.unpack('>Q', payload[:8])[0]
            assert offset <= len(stream), f'a gap: offset {offset} after {len(stream)}'
            stream = stream[:offset] + payload[8:]
        return stream[:length]

    def expect_closed(self, timeout=net.DEADLINE):
        """The peer closes; returns the frames before that and the seconds it took."""
        start = time.monotonic()
        frames = []
        while True:
            try:
                received = self.receive(timeout - (time.monotonic() - start))
            except TimeoutError:
                raise AssertionError(f'not closed within {timeout:g} s; frames: {frames}') from None
            if received is None:
                return frames, time.monotonic() - start
            frames.append(received)

    def close(self):
        """Closes the socket."""
        self.socket.close()
