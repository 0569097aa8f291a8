# SPDX-License-Identifier: MIT
"""Sockets: connect, fill, drain, abort, and what the kernel knows about them."""

import concurrent.futures
import contextlib
import functools
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

DEADLINE = 20.0  # seconds: no wait that ends well takes nearly as long
CHUNK = 256 * 1024
PORT_SLICES = 32


def wait_for(condition, what, timeout=DEADLINE, interval=0.01):
    """Polls until condition() is true and returns its value; fails after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f'not within {timeout:g} s: {what} (last seen: {value!r})')
        time.sleep(interval)


def allow(seconds):
    """What the product promises, and more in proportion to those who want the processors too."""
    return seconds * (1 + os.getloadavg()[0] / os.cpu_count())


def background(function, *args):
    """Runs a function in a thread of its own; result(timeout) of what is returned waits for it."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(function(*args))
        except BaseException as error:  # pylint: disable=broad-except
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def has_ipv6():
    """Whether ::1 can be bound."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(('::1', 0))
        return True
    except OSError:
        return False


@functools.cache
def _ports():
    """Ports for this process alone, below those the kernel gives to outgoing connections.

    Other runs of these tests may be going on beside: each takes one slice of the ports, whose mark
    is a socket of an abstract name, which is gone with the process. None comes twice before all
    others have.
    """
    with open('/proc/sys/net/ipv4/ip_local_port_range', encoding='ascii') as file:
        top = int(file.read().split()[0])
    size = ((top if top > 11000 else 32768) - 10000) // PORT_SLICES
    for i in random.sample(range(PORT_SLICES), PORT_SLICES):
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mark.bind(f'\0braid-e2e-ports-{i}')
        except OSError:
            mark.close()
            continue
        _ports.mark = mark  # until this process ends
        return itertools.cycle(random.sample(range(10000 + i * size, 10000 + (i + 1) * size), size))
    raise AssertionError('too many runs of these tests at once')


def free_port():
    """A port that nobody has now, nor another run of these tests will take."""
    for port in itertools.islice(_ports(), 1000):
        with contextlib.ExitStack() as stack:
            try:
                for family, any_address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
                    if family == socket.AF_INET6 and not has_ipv6():
                        continue
                    sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind((any_address, port))
                return port
            except OSError:
                continue
    raise AssertionError('no free port found')


def parse(address):
    """(family, sockaddr) of "192.0.2.1:80", "[::1]:80", "localhost:80" or "unix:/path"."""
    if address.startswith('unix:'):
        return socket.AF_UNIX, address[5:]
    host, _, port = address.rpartition(':')
    if host.startswith('['):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host, int(port))


def text(sockaddr):
    """A socket's name as braid writes it."""
    if isinstance(sockaddr, (str, bytes)):
        return f'unix:{sockaddr}' if sockaddr else 'unix:'
    host, port = sockaddr[:2]
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def connect(address, timeout=DEADLINE, rcvbuf=None):
    """A connected socket whose every operation fails after timeout seconds."""
    family, sockaddr = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        if rcvbuf is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.connect(sockaddr)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except BaseException:
        sock.close()
        raise


def abort(sock):
    """Closes with a RST, at once: a thread that waits in recv() would keep the socket open."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


def recv_exact(sock, length):
    """Exactly length bytes; fails on an end before."""
    parts = []
    while length > 0:
        data = sock.recv(min(length, CHUNK))
        assert data, f'end of stream, {length} bytes missing'
        parts.append(data)
        length -= len(data)
    return b''.join(parts)


def recv_to_eof(sock):
    """All bytes up to an orderly end."""
    parts = []
    while True:
        data = sock.recv(CHUNK)
        if not data:
            return b''.join(parts)
        parts.append(data)


def assert_eof(sock):
    """Nothing but an orderly end comes."""
    data = sock.recv(CHUNK)
    assert data == b'', f'expected the end of the stream, got {data[:64]!r}'


def assert_reset(sock, timeout=DEADLINE):
    """A RST comes, whatever bytes before it; returns how many seconds it took."""
    sock.settimeout(timeout)
    start = time.monotonic()
    try:
        while time.monotonic() - start < timeout:
            if not sock.recv(CHUNK):
                raise AssertionError('an orderly end (FIN) where a reset (RST) is due')
    except ConnectionResetError:
        return time.monotonic() - start
    except TimeoutError:
        pass
    raise AssertionError(f'no reset within {timeout:g} s')


def assert_refused(connect, timeout=DEADLINE):
    """What connect() gives is reset; so early, it may be, that connect() itself sees it."""
    try:
        sock = connect()
    except ConnectionResetError:
        return
    assert_reset(sock, timeout)


def assert_reset_unread(sock, timeout=DEADLINE):
    """A RST comes, seen without reading a byte."""
    poller = select.poll()
    poller.register(sock, 0)
    events = poller.poll(timeout * 1000)
    assert events and events[0][1] & select.POLLERR, f'no reset within {timeout:g} s: {events}'
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    assert error in (104, 32), f'error {error} where a reset is due'


def is_open(sock):
    """Whether neither an end nor a reset has come (reads nothing; blocks not)."""
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) != b''
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        sock.settimeout(DEADLINE)


def send_pattern(sock, pattern, length, offset=0, shutdown=True):
    """Sends length bytes of a pattern, then (unless told not to) the end of the stream."""
    end = offset + length
    while offset < end:
        offset += sock.send(pattern.at(offset, min(CHUNK, end - offset)))
    if shutdown:
        sock.shutdown(socket.SHUT_WR)


def recv_pattern(sock, pattern, length, offset=0, eof=True):
    """Receives and checks length bytes of a pattern, then (unless told not to) the end."""
    end = offset + length
    while offset < end:
        data = sock.recv(min(CHUNK, end - offset))
        assert data, f'end of stream at offset {offset}, expected {end}'
        pattern.check(offset, data)
        offset += len(data)
    if eof:
        data = sock.recv(1)
        assert data == b'', f'bytes behind the last one expected, at offset {end}'


def exchange(sock, out, out_length, back, back_length):
    """Sends one pattern and checks the other at the same time, both to their ends."""
    sender = background(send_pattern, sock, out, out_length)
    recv_pattern(sock, back, back_length)
    sender.result(DEADLINE)


def ping(sock, message=b'ping'):
    """One round trip to an echoing origin."""
    sock.sendall(message)
    assert recv_exact(sock, len(message)) == message


def fill(sock, pattern, quiet=1.0, most=1 << 30):
    """Sends a pattern until nothing was taken for quiet seconds; returns how much was sent."""
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    sock.setblocking(False)
    sent = 0
    try:
        while sent < most:
            events = poller.poll(quiet * 1000)
            if not events:
                return sent
            assert events[0][1] == select.POLLOUT, f'the connection broke after {sent} bytes'
            try:
                sent += sock.send(pattern.at(sent, CHUNK))
            except BlockingIOError:
                pass
    finally:
        sock.settimeout(DEADLINE)
    raise AssertionError(f'the sender was never stopped: {sent} bytes were taken')


def connections(port, state='01'):
    """The local ports of TCP connections of this namespace whose peer has the given port."""
    found = []
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        with contextlib.suppress(FileNotFoundError), open(table, encoding='ascii') as file:
            for line in file.readlines()[1:]:
                _, local, peer, status = line.split()[:4]
                if status == state and int(peer.rpartition(':')[2], 16) == port:
                    found.append(int(local.rpartition(':')[2], 16))
    return sorted(found)


def kill_connections(dport, sport=None):
    """Destroys TCP connections to dport (all, or the one from sport) with ss -K."""
    query = ['dport', '=', f':{dport}']
    if sport is not None:
        query += ['and', 'sport', '=', f':{sport}']
    subprocess.run(['ss', '-KHtn', 'state', 'established'] + query, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=DEADLINE)


def can_kill_connections():
    """Whether ss -K works here: it needs CONFIG_INET_DIAG_DESTROY and CAP_NET_ADMIN."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()) as client:
            peer, _ = listener.accept()
            with peer:
                try:
                    kill_connections(listener.getsockname()[1], client.getsockname()[1])
                    client.settimeout(1)
                    client.recv(1)
                    return False
                except TimeoutError:
                    return False
                except ConnectionError:
                    return True
                except (OSError, subprocess.SubprocessError):
                    return False
