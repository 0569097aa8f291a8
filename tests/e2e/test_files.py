# SPDX-License-Identifier: MIT
"""braid server and braid client: files pushed and pulled, whole or not at all."""

import contextlib
import os
import pty
import re
import resource
import signal
import subprocess

import pytest

from harness import net
from harness.file import PROTOCOLS, assert_failed, assert_good, client, content, make, server
from harness.process import braid_path, run

BIG = 64 << 20
SIZES = [0, 1, 3, 65535, 262140, 262144, 1_000_003]


def leftovers(world):
    """What lies in the world's directory and was not put there."""
    return [name for name in os.listdir(world.directory) if name.startswith('.braid')]


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    """Each way to carry a file."""
    return request.param


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('pushes', ['server', 'client'])
def test_files_of_any_size(world, protocol, pushes, size):
    source, target = make(world.path('source'), size), world.path('target')
    roles = [('push', source), ('pull', target)]
    if pushes == 'client':
        roles.reverse()
    serving, address = server(world, protocol, *roles[0])
    assert assert_good(client(world, address, *roles[1]), serving) == size
    assert content(target) == content(source)
    assert leftovers(world) == []


@pytest.mark.heavy
@pytest.mark.parametrize('pushes', ['server', 'client'])
def test_a_big_file(world, protocol, pushes):
    source, target = make(world.path('source'), BIG), world.path('target')
    roles = [('push', source), ('pull', target)]
    if pushes == 'client':
        roles.reverse()
    serving, address = server(world, protocol, *roles[0])
    assert assert_good(client(world, address, *roles[1]), serving) == BIG
    assert content(target) == content(source)


def test_several_addresses(world):
    """One path to each; the subflows of a session come in through all of them."""
    source, target = make(world.path('source'), 5_000_000), world.path('target')
    serving, address = server(world, 'mptcp.4', 'pull', target,
                              host='127.0.0.1:0,127.0.0.1:0,127.0.0.2:0')
    assert_good(client(world, address, 'push', source), serving)
    assert content(target) == content(source)


def test_paths_by_source_address(world):
    source, target = make(world.path('source'), 5_000_000), world.path('target')
    serving, address = server(world, 'mptcp.4', 'push', source)
    pulling = client(world, address, 'pull', target,
                     options=['--path', '127.0.0.3', '--path', '127.0.0.4', '--path', 'lo'])
    assert_good(pulling, serving)
    assert content(target) == content(source)


# ---- keys ----

def make_key(world, name):
    """A file with a key that is in no other."""
    with open(world.path(name), 'w', encoding='ascii', opener=lambda path, flags:
              os.open(path, flags, 0o600)) as file:
        file.write(f'{name} {os.urandom(32).hex()}\n')
    return world.path(name)


def test_a_key(world):
    """It is enough to be let out of this machine; and who has another one is nobody."""
    source, target = make(world.path('source'), 3_000_000), world.path('target')
    key = ['--key', make_key(world, 'key')]
    serving, address = server(world, 'mptcp.4', 'pull', target, host='0.0.0.0:0', options=key)
    address = address.replace('0.0.0.0', '127.0.0.1')
    for options, words in (([], 'has it the same key'),
                           (['--key', make_key(world, 'other')], 'does not accept this key')):
        assert_failed(client(world, address, 'push', source, options=options), 'no connection',
                      words)
    assert not os.path.exists(target)
    assert 'its configuration wants a key' in serving.words()
    assert 'a key that is not accepted here' in serving.words()
    assert_good(client(world, address, 'push', source, options=key), serving)
    assert content(target) == content(source)


@pytest.mark.parametrize('command', ['server', 'client'])
def test_bad_keys(world, command):
    address, source = 'mptcp.2://127.0.0.1:1', make(world.path('source'), 10)
    key = make_key(world, 'key')
    for arguments, words in (([address, '--insecure'], 'exclude'),
                             (['tcp://127.0.0.1:1'], 'never encrypted')):
        result = run([braid_path(), command, '--key', key, *arguments, 'push', source])
        assert result.returncode == 2 and words in result.stderr
    os.chmod(key, 0o644)
    for name in (key, world.path('none')):
        result = run([braid_path(), command, '--key', name, address, 'push', source])
        assert result.returncode == 1 and name in result.stderr


# ---- pipes ----

def test_from_pipe_to_pipe(world, protocol):
    """As in `tar c . | braid client ... push -`; a slow writer, and a slow reader."""
    pushing, address = server(world, protocol, 'push', '-', stdin=subprocess.PIPE)
    pulling = client(world, address, 'pull', '-', stdout=subprocess.PIPE)
    data = os.urandom(3_000_000)
    writing = net.background(write_slowly, pushing.process.stdin, data)
    assert pulling.process.stdout.read(len(data)) == data
    writing.result(net.DEADLINE)
    assert pulling.process.stdout.read(1) == b''
    pushing.process.stdin = None
    assert assert_good(pulling, pushing) == len(data)


def write_slowly(pipe, data):
    """Writes in pieces of odd sizes and ends."""
    for start in range(0, len(data), 77777):
        pipe.write(data[start:start + 77777])
        pipe.flush()
    pipe.close()


def test_redirected_files(world, protocol):
    """Standard input and output that are files."""
    source, target = make(world.path('source'), 700_001), world.path('target')
    with open(source, 'rb') as reading, open(target, 'wb') as writing:
        pushing, address = server(world, protocol, 'push', '-', stdin=reading)
        assert_good(client(world, address, 'pull', '-', stdout=writing), pushing)
    assert content(target) == content(source)


def test_a_device_takes_bytes_as_they_come(world, protocol):
    source = make(world.path('source'), 100_000)
    serving, address = server(world, protocol, 'pull', '/dev/null')
    assert_good(client(world, address, 'push', source), serving)
    assert os.path.exists('/dev/null') and not os.path.isfile('/dev/null')


def test_a_reader_that_goes_away(world, protocol):
    pulling, address = server(world, protocol, 'pull', '-', stdout=subprocess.PIPE)
    pulling.process.stdout.close()
    pulling.process.stdout = None
    pushing = client(world, address, 'push', make(world.path('source'), 1_000_000))
    assert_failed(pulling, 'Broken pipe')
    assert_failed(pushing, 'the other end: .*Broken pipe')


# ---- what is there already ----

def test_a_file_is_replaced_with_its_mode(world, protocol):
    source, target = make(world.path('source'), 1000), make(world.path('target'), 5000)
    os.chmod(target, 0o640)
    os.symlink(target, world.path('link'))
    serving, address = server(world, protocol, 'push', source)
    assert_good(client(world, address, 'pull', world.path('link')), serving)
    assert content(target) == content(source)
    assert os.stat(target).st_mode & 0o777 == 0o640
    assert os.path.islink(world.path('link'))


def test_a_new_file_has_the_usual_mode(world):
    serving, address = server(world, 'mptcp.2', 'push', make(world.path('source'), 10))
    assert_good(client(world, address, 'pull', world.path('target'), umask=0o027), serving)
    assert os.stat(world.path('target')).st_mode & 0o777 == 0o640


def test_the_name_appears_at_the_end(world, protocol):
    """Half way, the old file is there and whole; after a kill it still is."""
    target = make(world.path('target'), 5000)
    before = content(target)
    pushing, address = server(world, protocol, 'push', '-', stdin=subprocess.PIPE,
                              options=['--grace', '1'])
    pulling = client(world, address, 'pull', target)
    pushing.process.stdin.write(os.urandom(200_000))
    pushing.process.stdin.flush()
    net.wait_for(lambda: any(os.path.getsize(world.path(name)) >= 200_000
                             for name in leftovers(world)), 'bytes beside the file')
    assert content(target) == before
    pulling.process.kill()
    pulling.wait()
    assert content(target) == before
    # A kill may show as a reset or as an end.
    assert_failed(pushing, 'broke off|ended early|did not say')


# ---- failures: both ends fail, and say why ----

@pytest.mark.parametrize('killed', ['push', 'pull'])
def test_a_killed_peer(world, protocol, killed):
    source, target = make(world.path('source'), 1 << 20), world.path('target')
    grace = ['--grace', '1']
    other = 'pull' if killed == 'push' else 'push'
    argument = {'push': '-', 'pull': target}
    with open(source, 'rb') as reading:
        held, writing = os.pipe()  # never ends
        os.write(writing, reading.read(50_000))
    try:
        serving, address = server(world, protocol, killed, argument[killed], options=grace,
                                  stdin=held)
        staying = client(world, address, other, argument[other], options=grace, stdin=held)
        net.wait_for(lambda: any(os.path.getsize(world.path(name)) for name in leftovers(world)),
                     'bytes beside the file')
        serving.process.kill()
        serving.wait()
        assert_failed(staying, 'broke off|ended early|no subflow')
    finally:
        os.close(held)
        os.close(writing)
    assert not os.path.exists(target)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('stopped', ['push', 'pull'])
def test_an_interrupted_end(world, protocol, stopped, number):
    target = world.path('target')
    pushing, address = server(world, protocol, 'push', '-', stdin=subprocess.PIPE)
    pulling = client(world, address, 'pull', target)
    pushing.process.stdin.write(os.urandom(100_000))
    pushing.process.stdin.flush()
    net.wait_for(lambda: any(os.path.getsize(world.path(name)) for name in leftovers(world)),
                 'bytes beside the file')
    held, pushing.process.stdin = pushing.process.stdin, None  # stays open
    (pushing if stopped == 'push' else pulling).signal(number)
    assert_failed(pushing, 'interrupted')
    assert_failed(pulling, 'interrupted')
    held.close()
    assert not os.path.exists(target)
    assert leftovers(world) == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored(world, number):
    """As nohup(1) has it, and a shell for what is in the background."""
    source, target = os.urandom(100_000), world.path('target')
    pushing, address = server(world, 'mptcp.2', 'push', '-', stdin=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    pulling = client(world, address, 'pull', target)
    pushing.signal(number)
    pushing.process.stdin.write(source)
    pushing.process.stdin.close()
    pushing.process.stdin = None
    assert_good(pushing, pulling)
    assert content(target) == source


def test_a_full_disk(world, protocol):
    source = make(world.path('source'), 3 << 20)
    small = world.path('small')
    os.mkdir(small)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', small], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip('no tmpfs can be mounted here')
    try:
        serving, address = server(world, protocol, 'pull', os.path.join(small, 'target'))
        pushing = client(world, address, 'push', source)
        assert_failed(serving, 'No space left')
        assert_failed(pushing, 'the other end: .*No space left')
        assert os.listdir(small) == []
    finally:
        subprocess.run(['umount', small], check=True)


def test_both_push(world, protocol):
    source = make(world.path('source'), 1_000_000)
    serving, address = server(world, protocol, 'push', source)
    pushing = client(world, address, 'push', source)
    assert_failed(serving, 'both ends push')
    assert_failed(pushing, 'both ends push')


def test_both_pull(world, protocol):
    serving, address = server(world, protocol, 'pull', world.path('one'))
    pulling = client(world, address, 'pull', world.path('two'))
    assert_failed(serving, 'both ends pull')
    assert_failed(pulling, 'both ends pull')


def test_what_is_not_ours(world):
    """Somebody who speaks another protocol, and somebody who says nothing and goes."""
    serving, address = server(world, 'tcp', 'pull', world.path('target'))
    world.connect(address[len('tcp://'):]).sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert_failed(serving, 'no braid server or client')
    serving, address = server(world, 'tcp', 'pull', world.path('target'))
    world.connect(address[len('tcp://'):]).close()
    assert_failed(serving, 'ended early|broke off')
    assert not os.path.exists(world.path('target'))


HELLO = b'BRDF\x01\x01\0\0' + (6).to_bytes(8, 'big')
BYTES = b'\x01\0\0\x06abcdef'


@pytest.mark.parametrize('after, words', [
    (b'\x02\0\0\x0c' + (6).to_bytes(8, 'big') + bytes(4), 'checksums differ'),
    (b'\x02\0\0\x0c' + (7).to_bytes(8, 'big') + bytes.fromhex('53bceff1'), 'checksums differ'),
    (b'', 'ended early'),
    (b'\x01\0\0\x09ab', 'ended early'),
    (b'\x03\0\0\x0c' + bytes(12), 'makes no sense'),
    (b'\x04\0\0\x05a\x1b[2J', r'the other end: a\?\[2J'),
], ids=['sum', 'length', 'end', 'cut', 'role', 'words'])
def test_a_bad_sender(world, after, words):
    serving, address = server(world, 'tcp', 'pull', world.path('target'))
    sock = world.connect(address[len('tcp://'):])
    sock.sendall(HELLO + BYTES + after)
    with contextlib.suppress(OSError):  # it may have closed already
        sock.shutdown(1)
    assert_failed(serving, words)
    assert not os.path.exists(world.path('target'))
    assert leftovers(world) == []


def test_a_good_sender_by_hand(world):
    """The bytes of doc/protocol.md, in pieces of one byte."""
    serving, address = server(world, 'tcp', 'pull', world.path('target'))
    sock = world.connect(address[len('tcp://'):])
    for byte in HELLO + BYTES + b'\x02\0\0\x0c' + (6).to_bytes(8, 'big') + \
            bytes.fromhex('53bceff1'):
        sock.sendall(bytes([byte]))
    assert net.recv_exact(sock, 16) == b'BRDF\x01\x02' + bytes(10)
    assert net.recv_exact(sock, 16) == b'\x03\0\0\x0c' + (6).to_bytes(8, 'big') + \
        bytes.fromhex('53bceff1')
    sock.shutdown(1)
    net.assert_eof(sock)
    assert_good(serving)
    assert content(world.path('target')) == b'abcdef'


# ---- before anybody is bothered ----

@pytest.mark.parametrize('role, name, words', [
    ('push', '/nonexistent/file', 'No such file'),
    ('pull', '/nonexistent/file', 'No such file'),
    ('push', '/tmp', 'Is a directory'),
    ('pull', '/tmp', 'Is a directory'),
])
@pytest.mark.parametrize('command', ['server', 'client'])
def test_a_bad_file(command, role, name, words):
    result = run([braid_path(), command, 'mptcp.2://127.0.0.1:1', role, name])
    assert result.returncode == 1
    assert result.stderr.startswith(f'braid {command}: {name}: ') and words in result.stderr


def test_standard_output_that_is_closed(world, protocol):
    """Nothing else gets its number, as what is printed at the end would go there."""
    source, target = make(world.path('source'), 2_000_000), world.path('target')
    serving, address = server(world, protocol, 'pull', target)
    pushing = client(world, address, 'push', source, preexec_fn=lambda: os.close(1))
    assert pushing.wait()[0] == 0
    assert_good(serving)
    assert content(target) == content(source)
    assert_failed(client(world, address, 'pull', '-', preexec_fn=lambda: os.close(1)),
                  '-: Bad file descriptor')


def test_permission_denied(world):
    """As a user who may not: a file, and a directory."""
    if os.geteuid() != 0:
        pytest.skip('needs root, to be somebody else')
    try:
        run([braid_path(), '--version'], user=65534)
    except PermissionError:
        pytest.skip('the programs lie where the user nobody cannot run them')
    os.chmod(world.directory, 0o755)
    source = make(world.path('source'), 10)
    os.chmod(source, 0o600)
    for role, name in (('push', source), ('pull', world.path('target'))):
        result = run([braid_path(), 'client', 'tcp://127.0.0.1:1', role, name], user=65534)
        assert result.returncode == 1
        assert f'{name}: Permission denied' in result.stderr


@pytest.mark.parametrize('arguments, words', [
    ([], 'are needed'),
    (['tcp://127.0.0.1:1', 'push'], 'are needed'),
    (['tcp://127.0.0.1:1', 'push', 'x', 'y'], 'more: y'),
    (['tcp://127.0.0.1:1', 'shove', 'x'], 'shove'),
    (['http://127.0.0.1:1', 'push', 'x'], 'begins with'),
    (['mptcp.99://127.0.0.1:1', 'push', 'x'], '1 to 16'),
    (['tcp://192.0.2.1:1', 'push', 'x'], 'or --insecure'),
    (['mptcp.2://192.0.2.1:1', 'pull', 'x'], 'or --insecure'),
    (['--grace', 'long', 'tcp://127.0.0.1:1', 'push', 'x'], '--grace'),
])
@pytest.mark.parametrize('command', ['server', 'client'])
def test_bad_command_lines(command, arguments, words):
    result = run([braid_path(), command, *arguments])
    assert result.returncode == 2
    assert words in result.stderr and f'braid {command}: ' in result.stderr
    assert result.stdout == ''


def test_serve_and_standard_input():
    result = run([braid_path(), 'server', '--serve', 'tcp://127.0.0.1:0', 'push', '-'])
    assert result.returncode == 2 and '--serve' in result.stderr


def test_help_says_how():
    for command in ('server', 'client'):
        result = run([braid_path(), command, '--help'])
        assert result.returncode == 0 and 'ADDRESS' in result.stdout and '--insecure' in result.stdout


def test_nobody_listens(world, protocol):
    nobody = client(world, f'{protocol}://127.0.0.1:1', 'push', make(world.path('source'), 10))
    assert_failed(nobody, '^braid client: .*127.0.0.1:1: connection refused')


def test_paths_that_are_none(world):
    """Each is named, with what is wrong with it; and nothing was sent."""
    paths = ['--path', 'nosuch0', '--path', '192.0.2.1']
    nobody = client(world, 'mptcp.2://127.0.0.1:1', 'push', make(world.path('source'), 10),
                    options=paths)
    assert_failed(nobody, 'no connection: nosuch0: No such device; '
                          '192.0.2.1: Cannot assign requested address$')


def test_an_address_that_is_taken(world, protocol, echo):
    result = run([braid_path(), 'server', f'{protocol}://{echo.address}', 'push',
                  make(world.path('source'), 10)])
    assert result.returncode == 1
    assert f'cannot listen on {echo.address}: Address already in use' in result.stderr


# ---- --serve ----

def test_many_clients(world, protocol):
    """One after the other, and several at once; a bad one in between harms nobody."""
    source = make(world.path('source'), 2_000_000)
    serving, address = server(world, protocol, 'push', source, options=['--serve'])
    assert_good(client(world, address, 'pull', world.path('first')))
    assert_failed(client(world, address, 'push', source), 'both ends push')
    pulling = [client(world, address, 'pull', world.path(f'target{i}')) for i in range(5)]
    assert_good(*pulling)
    for i in range(5):
        assert content(world.path(f'target{i}')) == content(source)
    serving.signal()
    status, out, words = serving.wait()
    assert out.decode().count('2000000 bytes') == 6, words
    assert 'both ends push' in words and status == 1


def test_a_server_that_served_well_ends_well(world, protocol):
    target = world.path('target')
    serving, address = server(world, protocol, 'pull', target, options=['--serve'])
    for size in (10, 70_000):
        source = make(world.path('source'), size)
        assert_good(client(world, address, 'push', source))
        assert content(target) == content(source)
    serving.signal()
    assert serving.wait()[0] == 0


def sleeps(pid):
    """How often a process has waited so far."""
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', file.read(), re.MULTILINE)[1])


def test_no_descriptor_for_a_client(world, protocol):
    """It says so once, waits without work, and serves that client when there are some again."""
    source = make(world.path('source'), 2_000_000)
    serving, address = server(world, protocol, 'push', source, options=['--serve'])
    pid = serving.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir(f'/proc/{pid}/fd')) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    pulling = client(world, address, 'pull', world.path('target'))
    net.wait_for(lambda: 'cannot accept' in serving.words(), 'a word that there are none')
    slept = sleeps(pid)
    net.wait_for(lambda: sleeps(pid) > slept + 1, 'it sleeps between two tries')
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert_good(pulling)
    serving.signal()
    status, _, words = serving.wait()
    assert (status, words.count('cannot accept')) == (0, 1), words


# ---- the bar ----

def test_a_bar_on_a_terminal_only(world):
    """On a terminal a line that is written over; elsewhere nothing but the result."""
    held, terminal = pty.openpty()
    try:
        serving, address = server(world, 'mptcp.2', 'push', '-', stdin=subprocess.PIPE)
        pulling = subprocess.Popen([braid_path(), 'client', address, 'pull', world.path('target')],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal)
        os.set_blocking(held, False)
        seen = bytearray()

        def look():
            try:
                seen.extend(os.read(held, 4096))
            except BlockingIOError:
                pass
            return b'97.7 KiB' in seen
        serving.process.stdin.write(bytes(100_000))
        serving.process.stdin.flush()
        net.wait_for(look, 'a progress bar')
        serving.process.stdin.close()
        serving.process.stdin = None
        assert b'100000 bytes, ' in pulling.communicate(timeout=net.DEADLINE)[0]
        assert pulling.returncode == 0
        status, _, words = serving.wait()
        assert status == 0 and '\r' not in words
        look()
        assert seen.endswith(b'\r\x1b[K')
    finally:
        os.close(held)
        os.close(terminal)
