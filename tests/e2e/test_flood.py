# SPDX-License-Identifier: MIT
"""Silence, slowness and floods: bounded in memory, descriptors and log, and live sessions go on."""

import contextlib
import random
import resource
import socket
import time

import pytest

from harness import net, origin as origins, wire
from harness.wire import data, frame, hello_payload, preamble

SILENT = 10_000
HELLO_TIME = 1.0  # seconds that a greeting may take, in these tests
IP_BIND_ADDRESS_NO_PORT = 24
WAITING = 1024  # of them at most, of one network
MOST_WAITING = 4096  # of them at most, of all
MIB = 1 << 20


def connect_from(source, address):
    """A connection from an address of its own, so that no other test's ports are used up."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.settimeout(net.DEADLINE)
    with contextlib.suppress(ConnectionResetError):  # it may be turned away before this returns
        sock.connect(net.parse(address)[1])
    return sock


def names_of(sockets):
    """How their peer calls them."""
    return [net.text(sock.getsockname()) for sock in sockets]


def test_silent_truncated_and_slow_greetings(world, echo):
    """hello-time after it was accepted, what has not said HELLO is closed, and named in the log."""
    echo_tunnel = world.tunnel(echo.address, remote={'top': f'hello-time = {HELLO_TIME:.0f}s'})
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
        assert elapsed < HELLO_TIME + 5, f'still open after {elapsed:.1f} s: {waiting}'
        if elapsed > sent * 0.08 and sent < len(whole) - 1:
            with contextlib.suppress(OSError):
                slow.send(whole[sent:sent + 1])
            sent += 1
        for sock in [sock for sock in waiting if not net.is_open(sock)]:
            assert time.monotonic() - start > HELLO_TIME * 0.9, f'{waiting[sock]} closed too early'
            del waiting[sock]
        net.ping(live)
        time.sleep(0.02)  # the pace of the slow one
    for name in names:
        remote.wait_log(name.replace('.', r'\.'), 2)


@pytest.mark.heavy
def test_ten_thousand_silent_connections(world, echo):
    """They cannot hold more than their share of descriptors, and none is there for ever."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most != resource.RLIM_INFINITY and most < SILENT + 500:
        pytest.skip(f'only {most} descriptors may be open here')
    # Each worker lets so many wait that have not said HELLO.
    echo_tunnel = world.tunnel(echo.address, remote={
        'top': f'workers = 1\nhello-time = {HELLO_TIME:.0f}s'})
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
        assert len(remote.descriptors()) - descriptors <= WAITING + 100
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
                with contextlib.suppress(OSError):
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
@pytest.mark.parametrize('kind', ('silent', 'garbage'))
def test_sessions_go_on_beside_a_flood(world, echo, kind):
    """10,000 strangers of forty networks: little memory, and a session's bytes are right.

    How much of its speed it keeps is for bench/flood to say.
    """
    tunnel = world.tunnel(echo.address, remote={'top': 'max-join-failures = 0'})
    remote = tunnel.remote
    live = tunnel.connect()
    rng = random.Random(23)
    words = rng.randbytes(1 << 16)
    garbage = rng.randbytes(200)
    net.ping(live, words)
    memory = remote.rss()
    held = []
    try:
        for number in range(SILENT):
            sock = connect_from(f'127.1.{number % 40}.{1 + number // 40 % 250}', remote.address)
            if number % 250 == 0:
                net.ping(live, words)
            if kind == 'silent':
                held.append(sock)
                continue
            with contextlib.suppress(OSError):
                sock.sendall(garbage)
            sock.close()
        net.ping(live, words)
        net.ping(tunnel.connect())
        grown = remote.rss() - memory
        status = remote.status_json()['daemon']
    finally:
        for sock in held:
            sock.close()
    if not remote.sanitized():
        assert grown <= 64 * MIB, f'{grown / MIB:.1f} MiB more'
    if kind == 'silent':
        assert status['half_open'] <= MOST_WAITING
        assert status['turned_away'] > 0
        assert len(remote.lines('have not greeted')) <= 2
    else:
        assert status['join_failures'] > SILENT * 0.9


@pytest.mark.heavy
def test_garbage_behind_good_greetings(world):
    """Sessions that are opened properly and then broken: each costs little, and the rest go on."""
    echo = world.add(origins.EchoLoop())
    tunnel = world.tunnel(echo.address)
    remote = tunnel.remote
    live = tunnel.connect()
    net.ping(live)
    rng = random.Random(13)
    memory = remote.rss()
    for _ in range(500):
        subflow = wire.Subflow(remote.address)
        kind = rng.choice([*range(1, 14), 0x0e, 0x7f])
        subflow.open(data(0, b'x' * rng.randrange(1, 2000)),
                     frame(kind, rng.randbytes(rng.randrange(300))),
                     frame(0x7e, rng.randbytes(100)))
        subflow.expect_closed()
        subflow.close()
    net.ping(live)
    net.ping(tunnel.connect())
    if not remote.sanitized():
        # Those that lost their only subflow wait for another one, as any session does.
        assert remote.rss() - memory <= 32 * MIB, f'{memory} -> {remote.rss()}'
    lines = remote.lines('protocol error')
    assert 1 <= len(lines) <= 200, f'{len(lines)} lines about 500 of them'


def comb(step, count):
    """Single bytes in frames of their own, each step away from the one before."""
    return [data(offset, b'b') for offset in range(step - 1, step * count, step)]


def test_gaps(world, echo_tunnel):
    """Hundreds of pieces out of order are put in order; the first copy of each byte counts."""
    subflow = world.add(wire.Subflow(echo_tunnel.remote.address))
    subflow.open()
    subflow.expect(wire.HELLO)
    pieces = comb(3, 400)
    random.Random(19).shuffle(pieces)
    subflow.send(*pieces)
    subflow.send(data(0, b'a' * 500), data(500, b'a' * 700))
    assert subflow.expect_data(1200) == b'aab' * 400


def test_a_comb_of_single_bytes(world, echo_tunnel):
    """Every second byte of the window: such a peer is closed before it has cost much memory."""
    remote = echo_tunnel.remote
    live = echo_tunnel.connect()
    net.ping(live)
    before = remote.rss()
    subflow = world.add(wire.Subflow(remote.address))
    subflow.open(*comb(2, 30_000))
    subflow.expect_closed(3)
    remote.wait_log(subflow.name.replace('.', r'\.'), 2)
    if not remote.sanitized():
        assert remote.peak_rss() - before <= 8 * MIB, f'{before} -> {remote.peak_rss()}'
    net.ping(live)


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
