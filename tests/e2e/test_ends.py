# SPDX-License-Identifier: MIT
"""How connections end: half-closes, aborts, targets that cannot be reached."""

import errno
import socket

import pytest

from harness import net
from harness.pattern import DOWN, UP

pytestmark = pytest.mark.secured

PROMPT = 3.0  # seconds: a round trip on loopback and much goodwill for a busy machine
WORDS = b'x' * 1000


# ---- half-close ----

def test_the_client_ends_its_half_first(world, tunnel, target):
    client, served = tunnel.session(target)
    client.shutdown(socket.SHUT_WR)
    net.assert_eof(served)
    served.sendall(WORDS)
    assert net.recv_exact(client, len(WORDS)) == WORDS
    net.send_pattern(served, DOWN, 2_000_003)
    net.recv_pattern(client, DOWN, 2_000_003)


def test_the_target_ends_its_half_first(world, tunnel, target):
    client, served = tunnel.session(target)
    served.shutdown(socket.SHUT_WR)
    net.assert_eof(client)
    client.sendall(WORDS)
    assert net.recv_exact(served, len(WORDS)) == WORDS
    sender = net.background(net.send_pattern, client, UP, 2_000_003)
    net.recv_pattern(served, UP, 2_000_003)
    sender.result(net.DEADLINE)


def test_a_half_stays_open_as_long_as_wanted(world, tunnel, target):
    """An end in one direction says nothing about the other, however long ago it was."""
    client, served = tunnel.session(target)
    client.shutdown(socket.SHUT_WR)
    net.assert_eof(served)
    other = tunnel.connect()
    at_other = target.accept()
    for _ in range(20):
        other.sendall(b'x')
        assert net.recv_exact(at_other, 1) == b'x'
    assert net.is_open(client)
    served.sendall(b'late')
    assert net.recv_exact(client, 4) == b'late'


def test_an_end_with_the_last_bytes(world, tunnel, target):
    """The end may not overtake bytes, nor be lost behind them."""
    for size in (1, 1000, 65536, 65537, 1_000_000):
        client, served = tunnel.session(target)
        receiver = net.background(net.recv_pattern, served, UP, size)
        net.send_pattern(client, UP, size)
        receiver.result(net.DEADLINE)
        served.close()
        net.assert_eof(client)
        client.close()


def test_closing_both_ends_frees_the_session(world, tunnel, target):
    client, served = tunnel.session(target)
    client.close()
    net.assert_eof(served)
    served.close()
    for daemon in (tunnel.local, tunnel.remote):
        line = daemon.session_lines()[0]
        assert (line['tunnel'], len(daemon.lines(r'\bsession \S+ tunnel='))) == ('web', 1)


# ---- aborts ----

def test_abort_of_the_client(world, tunnel, target):
    client, served = tunnel.session(target)
    net.abort(client)
    net.assert_reset(served, net.allow(PROMPT))


def test_abort_of_the_target(world, tunnel, target):
    client, served = tunnel.session(target)
    net.abort(served)
    net.assert_reset(client, net.allow(PROMPT))


def test_abort_of_the_client_after_its_half_close(world, tunnel, target):
    client, served = tunnel.session(target)
    client.shutdown(socket.SHUT_WR)
    net.assert_eof(served)
    net.abort(client)
    # The target has read the end already: it learns of the reset by an error on the socket.
    net.assert_reset_unread(served, net.allow(PROMPT))


def test_abort_of_the_target_after_its_half_close(world, tunnel, target):
    client, served = tunnel.session(target)
    served.shutdown(socket.SHUT_WR)
    net.assert_eof(client)
    net.abort(served)
    net.assert_reset_unread(client, net.allow(PROMPT))


def test_abort_of_the_client_during_a_transfer(world, tunnel, target):
    client, served = tunnel.session(target)
    sender = net.background(net.send_pattern, client, UP, 3_000_000, 0, False)
    net.recv_pattern(served, UP, 3_000_000, eof=False)
    sender.result(net.DEADLINE)
    net.fill(client, UP)
    net.abort(client)
    net.assert_reset(served, net.allow(PROMPT))


def test_abort_of_the_client_while_nobody_reads(world, tunnel, target):
    """The target reads nothing, so braid has stopped reading the client: it has to notice still."""
    client, served = tunnel.session(target)
    net.fill(client, UP)
    net.abort(client)
    net.assert_reset_unread(served, net.allow(PROMPT))


def test_abort_of_the_target_while_nobody_reads(world, tunnel, target):
    client, served = tunnel.session(target)
    net.fill(served, DOWN)
    net.abort(served)
    net.assert_reset_unread(client, net.allow(PROMPT))


def test_abort_of_the_reader_while_nobody_reads(world, tunnel, target):
    """The side that does not read aborts: the one that is stopped in its sending learns of it."""
    client, served = tunnel.session(target)
    net.fill(client, UP)
    net.abort(served)
    net.assert_reset_unread(client, net.allow(PROMPT))
    client, served = tunnel.session(target)
    net.fill(served, DOWN)
    net.abort(client)
    net.assert_reset_unread(served, net.allow(PROMPT))


def test_a_client_that_closes_with_unread_bytes(world, tunnel, target):
    """The kernel makes a RST of such a close; the target gets one."""
    client, served = tunnel.session(target)
    served.sendall(WORDS)
    net.wait_for(lambda: len(client.recv(2000, socket.MSG_PEEK)) == len(WORDS), 'unread bytes')
    client.close()
    net.assert_reset(served, net.allow(PROMPT))


def test_an_abort_before_the_target_was_reached(world, tunnel, target):
    """connect() and RST at once, often: nothing is left behind at either end."""
    for _ in range(100):
        net.abort(tunnel.connect())
    client, _ = session_past_resets(tunnel, target)
    client.close()


def session_past_resets(tunnel, target):
    """As tunnel.session(), past connections that were reset before."""
    client = tunnel.connect()
    client.sendall(b'hello')
    while True:
        served = target.accept()
        try:
            data = served.recv(5)
        except ConnectionResetError:
            continue
        if data:
            assert data == b'hello'
            return client, served


# ---- targets that cannot be reached ----

def test_a_refused_target(world):
    tunnel = world.tunnel(f'127.0.0.1:{net.free_port()}')
    for _ in range(3):
        net.assert_refused(tunnel.connect, net.allow(PROMPT))
    line = tunnel.local.session_lines(3)[0]
    assert 'refused' in line['line']


@pytest.mark.parametrize('ends', [False, True], ids=['goes on', 'has ended'])
@pytest.mark.parametrize('size', [18, 200_000])
def test_a_refused_target_and_a_client_that_sends(world, size, ends):
    """Whatever the client has said already: a reset, which its next call sees."""
    tunnel = world.tunnel(f'127.0.0.1:{net.free_port()}')
    with pytest.raises(OSError) as failure:
        client = tunnel.connect()
        net.send_pattern(client, UP, size, shutdown=ends)
        net.recv_exact(client, 1)
    assert failure.value.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)


@pytest.mark.parametrize('unreachable', ['255.255.255.255:80', 'unix:/nonexistent/socket'],
                         ids=['broadcast', 'unix'])
def test_an_unreachable_target(world, unreachable):
    tunnel = world.tunnel(unreachable)
    net.assert_refused(tunnel.connect, net.allow(PROMPT))


def test_a_target_that_comes_back(world):
    """A refusal is not remembered."""
    port = net.free_port()
    tunnel = world.tunnel(f'127.0.0.1:{port}')
    net.assert_refused(tunnel.connect, net.allow(PROMPT))
    target = world.origin(f'127.0.0.1:{port}')
    tunnel.session(target)
