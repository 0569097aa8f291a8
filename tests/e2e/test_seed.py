# SPDX-License-Identifier: MIT
"""The seed's format: files between our programs, and with a peer that is none of ours."""

import contextlib
import fcntl
import os
import struct
import subprocess

import pytest

from harness import net, seed
from harness.file import assert_failed, assert_good, client, content, make, server

SEED = ['--protocol', 'seed']
SIZES = [0, 1, 1023, 65535, 262144, 5_000_003]
STREAMS = [1, 2, 16]


def leftovers(world):
    """What lies in the world's directory and was not put there."""
    return [name for name in os.listdir(world.directory) if name.startswith('.braid')]


# ---- both ends are ours ----

@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('pushes', ['server', 'client'])
def test_files_of_any_size(world, pushes, size):
    source, target = make(world.path('source'), size), world.path('target')
    roles = [('push', source), ('pull', target)]
    if pushes == 'client':
        roles.reverse()
    serving, address = server(world, 'mptcp.4', *roles[0], options=SEED)
    assert assert_good(client(world, address, *roles[1], options=SEED), serving) == size
    assert content(target) == content(source)
    assert leftovers(world) == []


def test_a_pipe(world):
    source, target = os.urandom(300_000), world.path('target')
    pushing, address = server(world, 'mptcp.3', 'push', '-', stdin=subprocess.PIPE, options=SEED)
    pulling = client(world, address, 'pull', target, options=SEED)
    pushing.process.stdin.write(source)
    pushing.process.stdin.close()
    pushing.process.stdin = None
    assert_good(pushing, pulling)
    assert content(target) == source


def kill_one(kill, port):
    """Has the kernel break off one of the connections to a port, if there is any left."""
    out = subprocess.run(['ss', '-Htn', 'state', 'established', 'dport', '=', f':{port}'],
                         check=True, stdout=subprocess.PIPE, text=True, timeout=net.DEADLINE).stdout
    for line in out.splitlines()[:1]:
        kill(port, int(line.split()[2].rsplit(':', 1)[1]))


@pytest.mark.heavy
@pytest.mark.parametrize('pushes', ['server', 'client'])
def test_subflows_that_die(world, kill_subflows, pushes):
    """Whatever dies, and wherever the bytes were then: as long as there is one."""
    source, target = make(world.path('source'), 64 << 20), world.path('target')
    roles = [('push', source), ('pull', target)]
    if pushes == 'client':
        roles.reverse()
    serving, address = server(world, 'mptcp.8', *roles[0], options=SEED)
    pulling = client(world, address, *roles[1], options=SEED)
    for share in (8, 4, 2):
        net.wait_for(lambda share=share: os.path.exists(target) or any(
            os.path.getsize(world.path(name)) > (64 << 20) // share
            for name in leftovers(world)), 'bytes beside the file')
        kill_one(kill_subflows, int(address.rsplit(':', 1)[1]))
    assert_good(pulling, serving)
    assert content(target) == content(source)


# ---- the other end is another program ----

@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('streams', STREAMS)
def test_its_client_pushes(world, streams, size):
    source, target = os.urandom(size), world.path('target')
    serving, address = server(world, 'mptcp.16', 'pull', target, options=SEED)
    peer = seed.connect(address.split('://')[1], streams)
    for at in range(0, size, 1_500_000):
        peer.write(source[at:at + 1_500_000])
    peer.shutdown()
    assert assert_good(serving) == size
    assert peer.received() == (b'', ['shutdown'] * streams)
    assert content(target) == source


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('streams', STREAMS)
def test_its_client_pulls(world, streams, size):
    source = make(world.path('source'), size)
    serving, address = server(world, 'mptcp.16', 'push', source, options=SEED)
    peer = seed.connect(address.split('://')[1], streams)
    assert peer.received() == (content(source), ['shutdown'] * streams)
    peer.bare_end()
    assert assert_good(serving) == size


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('streams', STREAMS)
def test_its_server(world, streams, size):
    """Both ways, one after the other."""
    listening = world.add(seed.Server())
    address = f'mptcp.{streams}://{listening.address}'
    source, target = make(world.path('source'), size), world.path('target')
    pushing = client(world, address, 'push', source, options=SEED)
    peer = listening.accept()
    assert len(peer.socks) == streams
    assert peer.received() == (content(source), ['shutdown'] * streams)
    peer.bare_end()
    assert assert_good(pushing) == size

    pulling = client(world, address, 'pull', target, options=SEED)
    peer = listening.accept()
    peer.write(content(source))
    peer.shutdown()
    assert assert_good(pulling) == size
    assert peer.received() == (b'', ['shutdown'] * streams)
    assert content(target) == content(source)


def test_one_write_of_32_mib(world):
    """Pieces of 8 MiB, of which three are ahead of what can be kept: they wait in the kernel."""
    source, target = os.urandom(32 << 20), world.path('target')
    serving, address = server(world, 'mptcp.4', 'pull', target, options=SEED)
    peer = seed.connect(address.split('://')[1], 4)
    peer.write(source)
    peer.shutdown()
    assert_good(serving)
    assert content(target) == source


def test_messages_and_seal(world):
    """Small messages, and behind the last byte twice nothing but shutdown, on each stream."""
    size = 3_000_000
    source = make(world.path('source'), size)
    serving, address = server(world, 'mptcp.4', 'push', source, options=SEED)
    peer = seed.connect(address.split('://')[1], 3)
    peer.received()
    peer.bare_end()
    assert_good(serving)
    messages = peer.reader.messages
    assert all(length <= 65536 for _, _, length in messages)
    assert messages.count((seed.SHUTDOWN, 0, 0)) == 3
    assert messages.count((seed.DATA, size - 1, 1)) == 6


# ---- ends that are none ----

def ends(world, how, bare=()):
    """Pulls from a peer of two streams that sends 6,000 bytes and ends them in its own way."""
    serving, address = server(world, 'mptcp.4', 'pull', world.path('target'),
                              options=[*SEED, *bare])
    peer = world.add(seed.connect(address.split('://')[1], 2, reads=False))
    peer.write(os.urandom(6000))
    with contextlib.suppress(OSError):  # the answer may come before all is said
        how(peer)
    return serving


def shut_one(peer):
    """One stream is shut down, the other just ends."""
    peer.socks[0].sendall(b'\x02')
    peer.bare_end()


def cut(peer):
    """The end comes within a message."""
    peer.socks[0].sendall(seed.data(6000, b'12345')[:-1])
    peer.bare_end()


def leave_a_gap(peer):
    """All is said, but for a byte."""
    peer.socks[1].sendall(seed.data(6001, b'1'))
    peer.shutdown()


def abort_one(peer):
    """One breaks off, though all it has sent is here."""
    net.wait_for(lambda: net_empty(peer.socks[0]), 'an empty socket')
    peer.socks[1].sendall(b'\x02')
    net.abort(peer.socks.pop(0))


def net_empty(sock):
    """Whether all that was sent has been acknowledged."""
    return struct.unpack('i', fcntl.ioctl(sock, 0x5411, b'\0' * 4))[0] == 0


@pytest.mark.parametrize('how', [seed.Peer.bare_end, shut_one, cut, leave_a_gap, abort_one])
def test_a_truncated_stream(world, how):
    assert_failed(ends(world, how), 'broke off: .*missing')
    assert not os.path.exists(world.path('target'))
    assert leftovers(world) == []


@pytest.mark.parametrize('how', [cut, leave_a_gap, abort_one])
def test_a_truncated_stream_that_may_end_bare(world, how):
    assert_failed(ends(world, how, bare=['--bare-end']), 'broke off: .*missing')
    assert not os.path.exists(world.path('target'))


@pytest.mark.parametrize('how', [seed.Peer.bare_end, shut_one, seed.Peer.shutdown])
def test_a_bare_end(world, how):
    assert assert_good(ends(world, how, bare=['--bare-end'])) == 6000


@pytest.mark.parametrize('message', [
    struct.pack('>BQQ', 0, 0, 1 << 63),
    struct.pack('>BQQ', 0, 1 << 63, 1),
    struct.pack('>BQQ', 0, 0, 0),
    b'\x03',
])
def test_refused(world, message):
    """What makes no sense ends its stream, and with it what can be told of the file."""
    serving, address = server(world, 'mptcp.1', 'pull', world.path('target'), options=SEED)
    peer = world.add(seed.connect(address.split('://')[1], 1))
    peer.socks[0].sendall(message)
    assert_failed(serving, 'broke off')
    peer.received()


def test_the_other_protocol_is_refused(world):
    source = make(world.path('source'), 10)
    serving, address = server(world, 'mptcp.2', 'push', source, options=SEED)
    with net.connect(address.split('://')[1]) as sock:
        sock.sendall(struct.pack('>Q3sBI', 1, b'BRD', 1, 0))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert_good(client(world, address, 'pull', world.path('target'), options=SEED), serving)


@pytest.mark.parametrize('size', [0, 10, 3_000_000])
def test_a_server_of_the_other_protocol(world, size):
    """In this format an orderly end is a success: nobody may get one who is turned away."""
    source, target = make(world.path('source'), size), world.path('target')
    serving, address = server(world, 'mptcp.2', 'pull', target)
    assert_failed(client(world, address, 'push', source, options=SEED), 'did not take all of it')
    assert 'closed: protocol error' in serving.words()
    assert_good(client(world, address, 'push', source), serving)
    assert content(target) == content(source)


# ---- the command line ----

@pytest.mark.parametrize('options, address, words', [
    (['--protocol', 'sed'], 'mptcp.2://127.0.0.1:1', 'takes braid or seed: sed'),
    (SEED, 'tcp://127.0.0.1:1', 'is for mptcp.N'),
    (SEED, 'mptcp.2://192.0.2.1:1', 'add --insecure'),
    ([*SEED, '--key', 'k'], 'mptcp.2://127.0.0.1:1', 'never encrypted'),
    (['--bare-end'], 'mptcp.2://127.0.0.1:1', 'is for pull with --protocol seed'),
])
def test_bad_command_lines(world, options, address, words):
    status, _, said = client(world, address, 'pull', 'x', options=options).wait()
    assert status == 2 and words in said
