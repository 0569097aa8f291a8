# SPDX-License-Identifier: MIT
"""Silence, slowness and floods: bounded in memory, descriptors and log, and live sessions go on."""

import contextlib
import random
import resource
import socket
import time

import pytest

from harness import net, wire
from harness.wire import data, frame, hello_payload, preamble

SILENT = 10_000
HELLO_TIME = 5.0  # seconds that a greeting may take
IP_BIND_ADDRESS_NO_PORT = 24
MIB = 1 << 20


def connect_from(source, address):
    """A connection from an address of its own, so that no other test's ports are used up."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.settimeout(net.DEADLINE)
    sock.connect(net.parse(address)[1])
    return sock


def names_of(sockets):
    """How their peer calls them."""
    return [net.text(sock.getsockname()) for sock in sockets]


def test_silent_truncated_and_slow_greetings(world, echo_tunnel):
    """5 s after it was accepted, a subflow without a whole HELLO is closed, and named in the log."""
    remote = echo_tunnel.remote
    live = echo_tunnel.connect()
    net.ping(live)
    whole = preamble(99) + frame(wire.HELLO, hello_payload(99, bytes(16)))
    start = time.monotonic()
    sockets = [world.connect(remote.address) for _ in range(5)]
    slow = sockets[4]
    for sock, length in zip(sockets, (0, 5, 16, len(whole) - 1)):
        sock.sendall(whole[:length])
    names = names_of(sockets)
    waiting = {sock: name for sock, name in zip(sockets, names)}
    sent = 0
    while waiting:
        elapsed = time.monotonic() - start
        assert elapsed < HELLO_TIME + 3, f'still open after {elapsed:.1f} s: {waiting}'
        if elapsed > sent * 0.4 and sent < len(whole) - 1:
            with contextlib.suppress(OSError):
                slow.send(whole[sent:sent + 1])
            sent += 1
        for sock in [sock for sock in waiting if not net.is_open(sock)]:
            assert time.monotonic() - start > HELLO_TIME - 1, f'{waiting[sock]} closed too early'
            del waiting[sock]
        net.ping(live)
        time.sleep(0.02)  # the pace of the slow one
    for name in names:
        remote.wait_log(name.replace('.', r'\.'), 2)


@pytest.mark.heavy
def test_ten_thousand_silent_connections(world, echo_tunnel):
    """They cannot hold more than their share of descriptors, and none is there for ever."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most != resource.RLIM_INFINITY and most < SILENT + 500:
        pytest.skip(f'only {most} descriptors may be open here')
    remote = echo_tunnel.remote
    live = echo_tunnel.connect()
    net.ping(live)
    memory, descriptors = remote.rss(), len(remote.descriptors())
    sockets = []
    try:
        for number in range(SILENT):
            sockets.append(connect_from('127.0.0.77', remote.address))
            if number % 500 == 0:
                net.ping(live)
        net.ping(live)
        fresh = echo_tunnel.connect()
        net.ping(fresh)
        assert len(remote.descriptors()) - descriptors <= 1024 + 100
        if not remote.sanitized():
            assert remote.rss() - memory <= 16 * MIB, f'{memory} -> {remote.rss()}'
        end = time.monotonic() + HELLO_TIME + 5
        left = sockets
        while left:
            left = [sock for sock in left if net.is_open(sock)]
            assert time.monotonic() < end, f'{len(left)} are still open'
            net.ping(live)
    finally:
        for sock in sockets:
            sock.close()
    if not remote.sanitized():
        assert remote.rss() - memory <= 16 * MIB, f'{memory} -> {remote.rss()}'
    lines = remote.lines(r'127\.0\.0\.77:')
    assert 1 <= len(lines) <= 200, f'{len(lines)} lines about them'


@pytest.mark.heavy
def test_thousands_of_garbage_connections(world, echo_tunnel):
    """Memory is flat, the log is limited and says how much it left out."""
    remote = echo_tunnel.remote
    live = echo_tunnel.connect()
    net.ping(live)
    rng = random.Random(11)

    def disturb(count):
        for _ in range(count):
            with connect_from('127.0.0.78', remote.address) as sock:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(rng.randbytes(rng.randrange(17, 3000)))
                    while sock.recv(65536):
                        pass
    disturb(300)
    memory, descriptors = remote.rss(), len(remote.descriptors())
    disturb(3000)
    net.ping(live)
    net.wait_for(lambda: len(remote.descriptors()) <= descriptors + 4, 'the descriptors back')
    if not remote.sanitized():
        assert remote.rss() - memory <= 2 * MIB, f'{memory} -> {remote.rss()}'
    lines = remote.lines(r'127\.0\.0\.78:')
    assert 1 <= len(lines) <= 200, f'{len(lines)} lines about 3300 of them'


@pytest.mark.heavy
def test_garbage_behind_good_greetings(world, echo_tunnel):
    """Sessions that are opened properly and then broken leave nothing behind."""
    remote = echo_tunnel.remote
    live = echo_tunnel.connect()
    net.ping(live)
    rng = random.Random(13)

    def disturb(count):
        for _ in range(count):
            subflow = wire.Subflow(remote.address)
            kind = rng.choice([*range(1, 14), 0x0e, 0x7f])
            subflow.open(data(0, b'x' * rng.randrange(2000)),
                         frame(kind, rng.randbytes(rng.randrange(300))), wire.reset(96),
                         frame(0x7e, rng.randbytes(100)))
            subflow.expect_closed()
            subflow.close()
    disturb(100)
    net.wait_for(lambda: len(remote.descriptors()) < 60, 'its descriptors back')
    memory, descriptors = remote.rss(), len(remote.descriptors())
    disturb(1000)
    net.ping(live)
    net.wait_for(lambda: len(remote.descriptors()) <= descriptors + 20, 'its descriptors back')
    if not remote.sanitized():
        # What was closed by an error may leave sessions that wait out their grace.
        assert remote.rss() - memory <= 16 * MIB, f'{memory} -> {remote.rss()}'


def test_a_comb_of_single_bytes(world, echo_tunnel):
    """Every second byte of the window, each in a frame of its own: bounded, and exact later."""
    remote = echo_tunnel.remote
    before = remote.rss()
    subflow = world.add(wire.Subflow(remote.address))
    subflow.open()
    limit = wire.hello_fields(subflow.expect(wire.HELLO))['limit']
    size = min(limit, 60_000)
    comb = b''.join(data(offset, b'b') for offset in range(1, size, 2))
    for start in range(0, len(comb), 1300):
        subflow.send(comb[start:start + 1300])
    subflow.send(frame(wire.PING, bytes(8)))
    subflow.expect(wire.PONG)
    if not remote.sanitized():
        assert remote.rss() - before <= 16 * MIB, f'{before} -> {remote.rss()}'
    subflow.send(data(0, b'a' * (size // 2)), data(size // 2, b'a' * (size - size // 2)))
    expected = bytearray(b'a' * size)
    expected[1::2] = b'b' * len(expected[1::2])
    assert subflow.expect_data(size) == bytes(expected)


# ---- the other ports ----

def test_silence_and_aborts_on_the_locals_port(world, echo_tunnel):
    """A client that says nothing is a client; one that is gone at once costs nothing."""
    silent = [echo_tunnel.connect() for _ in range(50)]
    for _ in range(300):
        net.abort(echo_tunnel.connect())
    for sock in silent:
        assert net.is_open(sock)
        net.ping(sock)


def test_bytes_that_look_like_the_protocol(world, echo_tunnel):
    """What a client sends is not looked at: frames and preambles are bytes like others."""
    words = preamble(1) + frame(wire.HELLO, hello_payload(1, bytes(16))) + frame(0x7f, bytes(9))
    client = echo_tunnel.connect()
    for _ in range(50):
        net.ping(client, words)


def test_garbage_and_silence_on_the_control_socket(world, echo_tunnel):
    """Wrong requests are answered or closed, many silent ones block nobody."""
    local = echo_tunnel.local
    live = echo_tunnel.connect()
    net.ping(live)
    rng = random.Random(17)
    for words in (b'\n', b'\0' * 100, b'status\0\n', b'frobnicate 1 2 3\n', b'\xff\xfe\n' * 100,
                  b'x' * 100_000, rng.randbytes(5000), b'status 999999999999999999999\n'):
        with world.connect(f'unix:{local.control}') as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(words)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
        net.ping(live)
    silent = [world.connect(f'unix:{local.control}') for _ in range(8)]
    assert local.status_json() is not None
    assert silent
    net.ping(live)


def test_a_status_that_is_not_read(world, echo_tunnel):
    """Who asks and does not take the answer holds up neither the daemon nor others who ask."""
    local = echo_tunnel.local
    clients = [echo_tunnel.connect() for _ in range(100)]
    for client in clients:
        net.ping(client)
    for _ in range(8):
        stuck = world.connect(f'unix:{local.control}')
        stuck.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(1000):
                stuck.send(b'status\n')
    for client in clients:
        net.ping(client)
    assert local.status_json() is not None


def test_only_the_owner_may_ask(world, echo_tunnel):
    """The control socket is not for everybody."""
    import os
    import stat
    mode = os.stat(echo_tunnel.local.control).st_mode
    assert stat.S_ISSOCK(mode)
    assert not mode & stat.S_IRWXO, oct(mode)
