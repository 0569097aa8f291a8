# SPDX-License-Identifier: MIT
"""Keys and certificates: who gets through, who does not, and what the daemons say about it."""

import os
import re
import shutil
import signal

import pytest

from harness import net
from harness.middle import Middle
from harness.pattern import DOWN, UP
from harness.process import braidd_path, run

SECRET = re.compile(r'(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])')


def session_of(daemon):
    """The one session in the status."""
    sessions = [session for tunnel in daemon.status_json()['tunnels']
                for session in tunnel['sessions']]
    assert len(sessions) == 1, sessions
    return sessions[0]


def lines_of(path):
    """The lines of a key file that have keys."""
    with open(path, encoding='ascii') as file:
        return [line for line in file.read().splitlines() if not line.startswith('#')]


def rewrite(path, lines):
    """Another content for a key file."""
    with open(path, 'w', encoding='ascii') as file:
        file.write('\n'.join(lines) + '\n')


def reload(daemon, words=r'SIGHUP: keys and certificates of .* are used from now on'):
    """SIGHUP, and what comes of it."""
    before = len(daemon.lines(words))
    daemon.signal(signal.SIGHUP)
    net.wait_for(lambda: len(daemon.lines(words)) > before, f'{words!r} in the log')


# ---- keys ----

def test_a_key_is_named(world, target):
    """In the status and in the session's log line, at both ends; and its secret nowhere."""
    key = world.key('laptop')
    keys = world.key('phone', file='all.key')
    with open(keys, 'a', encoding='ascii') as file:
        file.write(lines_of(key)[0] + '\n')
    tunnel = world.tunnel(target.address, remote={'security': f'key = {keys}'},
                          local={'security': f'key = {key}'})
    client, served = tunnel.session(target)
    ends = (tunnel.local, tunnel.remote)
    for daemon in ends:
        assert daemon.status_json()['tunnels'][0]['security'] == 'key'
        assert session_of(daemon)['key'] == 'laptop'
        assert re.search(r' KEY +PROTOCOL\n.* laptop +braid\n', daemon.braid_status().stdout)
    client.close()
    served.close()
    for daemon in ends:
        assert daemon.session_lines()[0]['key'] == 'laptop'
        assert SECRET.search(daemon.log()) is None


def test_nothing_is_seen_on_the_way(world, target):
    """Neither what is carried, nor the key, nor its name: only a preamble is in clear."""
    key = world.key('laptop')
    secret = lines_of(key)[0].split()[1]
    remote = world.remote(target.address, security=f'key = {key}')
    middle = world.add(Middle(remote.address, record=True))
    local = world.local(middle.address, security=f'key = {key}')
    client = world.connect(local.address)
    client.sendall(b'open sesame ' * 1000)
    served = target.accept()
    assert net.recv_exact(served, 12_000)
    served.sendall(b'come in, please ' * 1000)
    assert net.recv_exact(client, 16_000)
    recorded = [(bytes(link.recorded[link.near]), bytes(link.recorded[link.far]))
                for link in middle.links]
    assert sum(len(up) + len(down) for up, down in recorded) > 28_000
    for up, down in recorded:
        assert up[8:13] in (b'BRD\x01\x01', b'')
        assert up[16:17] in (b'\x16', b'') and down[:1] in (b'\x16', b'')  # TLS: a handshake
        for word in (b'sesame', b'come in', b'laptop', secret.encode(), bytes.fromhex(secret)):
            assert word not in up and word not in down


def test_nobody_else_gets_in(world, target):
    """Another key, or none: no connection to the target, a reset for the client, a word in the logs."""
    remote = world.remote(target.address, security=f'key = {world.key()}')
    other = world.local(remote.address, name='other', security=f'key = {world.key(file="other.key")}')
    none = world.local(remote.address, name='none', security='security = none')
    clients = [world.connect(local.address) for local in (other, none)]
    for client in clients:
        net.assert_reset(client)
    for words in ('it has shown a key that is not accepted here',
                  'it asks for no security, which is refused here'):
        lines = remote.lines(f'subflow from 127.0.0.1:[0-9]+ closed: {words}')
        assert 0 < len(lines) <= 10 * remote.status_json()['daemon']['workers']  # a minute
    assert other.lines('cannot connect to .*: the peer refused the handshake: it does not accept '
                       'this key')
    assert remote.status_json()['tunnels'][0]['total'] == 0 and target.accepted == 0


def test_a_key_against_nothing(world, target):
    """A local endpoint with a key says nothing to a remote one without."""
    remote = world.remote(target.address)
    local = world.local(remote.address, security=f'key = {world.key()}')
    client = world.connect(local.address)
    client.sendall(b'secret')
    remote.wait_log('it asks for other security than none')
    local.wait_log('is the same security set at both ends')
    assert remote.status_json()['tunnels'][0]['total'] == 0 and target.accepted == 0


def test_a_key_has_its_share(world, target):
    """So many sessions and no more, whoever has the key; another key's do not count with them."""
    keys = world.key('laptop', 'phone', file='all.key')
    remote = world.remote(target.address, security=f'key = {keys}',
                          top='max-sessions-per-key = 2')
    locals_ = []
    for name, line in zip(('laptop', 'phone'), lines_of(keys)):
        path = world.key(file=f'{name}.key')
        rewrite(path, [line])
        locals_.append(world.local(remote.address, name=name, security=f'key = {path}'))
    ends = []
    for local in (locals_[0], locals_[0], locals_[1]):
        client = world.connect(local.address)
        client.sendall(b'x')
        ends.append((client, target.accept()))
        assert net.recv_exact(ends[-1][1], 1) == b'x'
    net.assert_refused(lambda: world.connect(locals_[0].address))
    remote.wait_log('a key has as many sessions as it may have .max-sessions-per-key.: one is '
                    'turned away for 127.0.0.1')
    for end in ends[0]:
        end.close()
    remote.session_lines()
    assert len(remote.status_json()['tunnels'][0]['sessions']) == 2  # all threads have answered
    world.connect(locals_[0].address).sendall(b'y')
    assert net.recv_exact(target.accept(), 1) == b'y'


# ---- reload ----

def test_a_withdrawn_key(world, target):
    """Its session ends at once and no other begins, while that of another key does not notice."""
    keys = world.key('laptop', 'phone', file='all.key')
    laptop, phone = lines_of(keys)
    remote = world.remote(target.address, security=f'key = {keys}')
    locals_ = []
    for name, line in (('laptop', laptop), ('phone', phone)):
        path = world.key(file=f'{name}.key')
        rewrite(path, [line])
        locals_.append(world.local(remote.address, name=name, security=f'key = {path}'))
    ends = []
    for local in locals_:
        client = world.connect(local.address)
        client.sendall(b'x')
        served = target.accept()
        net.recv_exact(served, 1)
        ends.append((client, served))
    rewrite(keys, [phone])
    reload(remote)
    net.assert_reset(ends[0][0])
    net.assert_reset(ends[0][1])
    line = remote.session_lines()[0]
    assert line['key'] == 'laptop' and 'security not acceptable' in line['line']
    stranger = world.connect(locals_[0].address)
    remote.wait_log('it has shown a key that is not accepted here')
    assert net.is_open(stranger) and target.accepted == 2
    sender = net.background(net.send_pattern, ends[1][0], UP, 1_000_000)
    net.recv_pattern(ends[1][1], UP, 1_000_000)
    sender.result(net.DEADLINE)
    assert len(remote.session_lines()) == 1


def test_a_key_is_changed_without_a_gap(world, target):
    """New one at the remote, then at the local endpoint, old one away: sessions keep what they have."""
    key = world.key('old')
    tunnel = world.tunnel(target.address, remote={'security': f'key = {world.key(file="all.key")}'},
                          local={'security': f'key = {key}'})
    old, new = lines_of(key)[0], lines_of(world.key('new', file='new.key'))[0]
    rewrite(world.path('all.key'), [old])
    reload(tunnel.remote)
    before = tunnel.session(target)
    rewrite(world.path('all.key'), [old, new])
    reload(tunnel.remote)
    rewrite(key, [new])
    reload(tunnel.local)
    after = tunnel.session(target)
    assert {session['key'] for session in tunnel.remote.status_json()['tunnels'][0]['sessions']} == \
        {'old', 'new'}
    for client, served in (before, after):
        client.sendall(b'still here')
        assert net.recv_exact(served, 10) == b'still here'
    rewrite(world.path('all.key'), [new])
    reload(tunnel.remote)
    net.assert_reset(before[0])
    after[0].sendall(b'still here')
    assert net.recv_exact(after[1], 10) == b'still here'


@pytest.mark.parametrize('mistake', ['key', 'mode', 'gone', 'elsewhere'])
def test_a_mistake_changes_nothing(world, target, mistake):
    """A reload with anything wrong in it is told with file and line, and all stays as it was."""
    key = world.key()
    tunnel = world.tunnel(target.address, remote={'security': f'key = {key}'},
                          local={'security': f'key = {key}'})
    client, served = tunnel.session(target)
    good = lines_of(key)
    if mistake == 'key':
        rewrite(key, ['# one', 'web 1234'])
        words = f'key: {key}:2: this is no key'
    elif mistake == 'mode':
        os.chmod(key, 0o644)
        words = f'key: {key}: is open to group or others'
    elif mistake == 'gone':
        os.rename(key, key + '.away')
        words = f'key: {key}: cannot be opened'
    else:
        with open(tunnel.remote.config_path, 'a', encoding='ascii') as file:
            file.write('grase = 7\n')
        words = 'grase: unknown key'
    reload(tunnel.remote, 'all stays as it was')
    assert tunnel.remote.lines(f'error .*remote.ini:[0-9]+: .remote web. {re.escape(words)}')
    client.sendall(b'on')
    assert net.recv_exact(served, 2) == b'on'
    other, _ = tunnel.session(target)
    assert net.is_open(other)
    if mistake == 'gone':
        os.rename(key + '.away', key)
    else:
        rewrite(key, good)


def test_what_takes_a_restart(world, target):
    """Another kind of security is not put on in passing."""
    key = world.key()
    tunnel = world.tunnel(target.address, remote={'security': f'key = {key}'},
                          local={'security': f'key = {key}'})
    with open(tunnel.remote.config_path, encoding='ascii') as file:
        config = file.read()
    with open(tunnel.remote.config_path, 'w', encoding='ascii') as file:
        file.write(config.replace(f'key = {key}', 'security = none'))
    reload(tunnel.remote)
    assert tunnel.remote.lines('has another kind of security: that takes a restart')
    tunnel.session(target)


# ---- files ----

@pytest.mark.parametrize('mode', [0o640, 0o604, 0o666])
def test_loose_files_are_refused(world, target, mode):
    """By the daemon at its start, and by its check."""
    key = world.key()
    os.chmod(key, mode)
    daemon = world.remote(target.address, security=f'key = {key}', wait=False, clean_exit=(1,))
    assert daemon.wait_exit() == 1
    assert daemon.lines(f'remote.ini:[0-9]+: .remote web. key: {key}: is open to group or others '
                        f'.mode {mode:04o}.*chmod 600')
    result = run([braidd_path(), '-t', '-c', daemon.config_path])
    assert result.returncode == 1 and 'chmod 600' in result.stderr


def test_how_to_make_a_key(world, target):
    """Who has none, and has not said that this is meant, is told."""
    daemon = world.remote(target.address, security='', wait=False, clean_exit=(1,))
    assert daemon.wait_exit() == 1
    assert daemon.lines('key: missing; accepted: key = FILE, made by braid keygen > FILE and copied '
                        'to the other end')


def test_the_key_is_in_no_memory_that_leaks(world, target):
    """Neither as text nor as bytes is it in memory that could be swapped out, once it is in use."""
    key = world.key()
    tunnel = world.tunnel(target.address, remote={'security': f'key = {key}'},
                          local={'security': f'key = {key}'})
    sender, served = tunnel.session(target)
    text = lines_of(key)[0].split()[1]
    for daemon in (tunnel.local, tunnel.remote):
        if daemon.sanitized():
            pytest.skip('AddressSanitizer locks nothing, and keeps what was freed')
        found = list(find_in_memory(daemon.pid, (text.encode(), bytes.fromhex(text))))
        assert found and all(flags >= {'lo', 'dd'} for _, flags in found), found
    sender.close()
    served.close()


def find_in_memory(pid, words):
    """Where in a process's memory any of some words is: the mapping, and its flags."""
    name, mappings = None, []
    with open(f'/proc/{pid}/smaps', encoding='ascii') as file:
        for line in file:
            head = re.match(r'([0-9a-f]+)-([0-9a-f]+) (r\S+)', line)
            if head:
                name = (int(head.group(1), 16), int(head.group(2), 16))
            elif line.startswith('VmFlags:') and name:
                mappings.append((name, set(line.split()[1:])))
                name = None
    with open(f'/proc/{pid}/mem', 'rb') as memory:
        for (start, end), flags in mappings:
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, OverflowError, ValueError):
                continue  # of the kernel's own
            if any(word in content for word in words):
                yield f'{start:x}-{end:x}', flags


# ---- certificates ----

def make_certificates(world, *names):
    """An authority, and a certificate for each name that it has signed; paths without endings."""
    if shutil.which('openssl') is None:
        pytest.skip('there is no openssl to make certificates with')

    def openssl(*arguments):
        result = run(['openssl', *arguments], cwd=world.directory)
        assert result.returncode == 0, result.stderr

    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
            '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority', '-days', '2')
    for name in names:
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                f'{name}.key', '-out', f'{name}.csr', '-subj', f'/CN={name}')
        openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key',
                '-CAcreateserial', '-out', f'{name}.pem', '-days', '2')
        os.chmod(world.path(f'{name}.key'), 0o600)


def certificate(world, name, *peers):
    """The lines of a section that has a certificate."""
    return '\n'.join([f'certificate = {world.path(name)}.pem',
                      f'private-key = {world.path(name)}.key', f'ca = {world.path("ca.pem")}',
                      *(f'peer-name = {peer}' for peer in peers)])


def test_certificates(world, target):
    """Both ends prove their names; who bears another one is refused, whoever has signed it."""
    make_certificates(world, 'vpn.example.net', 'laptop', 'phone')
    remote = world.remote(target.address,
                          security=certificate(world, 'vpn.example.net', 'laptop', 'tablet'))
    local = world.local(remote.address, security=certificate(world, 'laptop', 'vpn.example.net'))
    client = world.connect(local.address)
    sender = net.background(net.send_pattern, client, UP, 3_000_000)
    served = target.accept()
    net.recv_pattern(served, UP, 3_000_000)
    sender.result(net.DEADLINE)
    sender = net.background(net.send_pattern, served, DOWN, 3_000_000)
    net.recv_pattern(client, DOWN, 3_000_000)
    sender.result(net.DEADLINE)
    assert remote.session_lines()[0]['key'] == 'laptop'
    assert local.session_lines()[0]['key'] == 'vpn.example.net'
    assert remote.status_json()['tunnels'][0]['security'] == 'certificate'
    stranger = world.local(remote.address, name='phone',
                           security=certificate(world, 'phone', 'vpn.example.net'))
    fooled = world.local(remote.address, name='fooled',
                         security=certificate(world, 'laptop', 'other.example.net'))
    clients = [world.connect(local.address) for local in (stranger, fooled)]
    remote.wait_log('subflow from .* closed: .*hostname mismatch')
    fooled.wait_log('cannot connect to .*hostname mismatch')
    assert all(net.is_open(client) for client in clients)
    assert remote.status_json()['tunnels'][0]['total'] == 1 and target.accepted == 1
