# SPDX-License-Identifier: MIT
"""What the daemon keeps of what it was started with: no capability, and no user but its own."""

import os
import pathlib
import pwd
import signal
import socket
import stat
import struct
import subprocess
import sys

import pytest

from harness import net, process, unit

NOBODY = 'nobody'

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')


def status_of(daemon):
    """The words of /proc/PID/status by their key."""
    text = pathlib.Path(f'/proc/{daemon.pid}/status').read_text(encoding='ascii')
    return {key: rest.split() for key, rest in (line.split(':', 1) for line in text.splitlines())}


def check_powerless(daemon):
    """No thread has a capability, or can get one."""
    for task in pathlib.Path(f'/proc/{daemon.pid}/task').iterdir():
        words = dict(line.split(':', 1)
                     for line in (task / 'status').read_text(encoding='ascii').splitlines())
        for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(words[kind], 16) == 0, f'{kind} of {task.name}: {words[kind]}'
        assert words['NoNewPrivs'].strip() == '1'
    limits = pathlib.Path(f'/proc/{daemon.pid}/limits').read_text(encoding='ascii')
    core = next(line for line in limits.splitlines() if line.startswith('Max core file size'))
    assert core.split()[4:6] == ['0', '0'], core


def skip_unless_runnable(prefix):
    """For tests that run the programs as somebody else."""
    if subprocess.run([*prefix, os.environ['BRAIDD'], '--version'], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip('the programs lie where the user nobody cannot run them')


@pytest.fixture
def open_directory(world):
    """The world's directory, which the daemon's user may read and leave sockets in."""
    user = pwd.getpwnam(NOBODY)
    os.chown(world.directory, user.pw_uid, user.pw_gid)
    os.chmod(world.directory, 0o755)
    return world.directory


def test_no_capabilities(echo_tunnel):
    """Whoever starts it, nothing is left to be misused."""
    for daemon in (echo_tunnel.local, echo_tunnel.remote):
        check_powerless(daemon)
        assert bool(daemon.lines('running as root')) == (os.geteuid() == 0)
    net.ping(echo_tunnel.connect())


@needs_root
def test_user(world, echo, open_directory):
    """It binds ports below 1024 and sockets, and is somebody else before the first client."""
    user = pwd.getpwnam(NOBODY)
    low = next(port for port in range(1023, 600, -1) if is_free(port))
    tunnel = world.tunnel(echo.address, remote={'top': f'user = {NOBODY}',
                                                'address': f'127.0.0.1:{low}'},
                          local={'top': f'user = {NOBODY}',
                                 'listen': f'unix:{world.path("web.sock")}'})
    for daemon in (tunnel.local, tunnel.remote):
        words = status_of(daemon)
        assert words['Uid'] == [str(user.pw_uid)] * 4
        assert words['Gid'] == [str(user.pw_gid)] * 4
        assert words['Groups'] == [str(group) for group in
                                   sorted(os.getgrouplist(NOBODY, user.pw_gid))]
        assert int(words['CapBnd'][0], 16) == 0
        check_powerless(daemon)
        assert not daemon.lines('running as root')
        assert not daemon.lines('cannot be reloaded')
        # The control socket is its own: nobody's own programs may ask, and it is taken away.
        found = os.stat(daemon.control)
        assert stat.S_ISSOCK(found.st_mode) and found.st_uid == user.pw_uid
        assert daemon.status_json() is not None
    assert os.stat(world.path('web.sock')).st_uid == user.pw_uid
    for _ in range(3):
        net.ping(tunnel.connect())
    tunnel.local.stop()
    assert not os.path.exists(tunnel.local.control)
    assert not os.path.exists(world.path('web.sock'))


def is_free(port):
    """Whether a port can be listened on."""
    with socket.socket() as sock:
        try:
            sock.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


@needs_root
@pytest.mark.parametrize('why', ['user', 'key'])
def test_a_process_that_nobody_may_look_into(world, echo, open_directory, why):
    """Others of the same user can neither trace it nor see its descriptors."""
    user = pwd.getpwnam(NOBODY)
    prefix = ('setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups')
    if why == 'user':
        tunnel = world.tunnel(echo.address, remote={'top': f'user = {NOBODY}'})
    else:
        skip_unless_runnable(prefix)
        key = world.key()
        os.chown(key, user.pw_uid, user.pw_gid)
        ends = {'security': f'key = {key}', 'prefix': prefix}
        tunnel = world.tunnel(echo.address, remote=ends, local=ends)
    look = subprocess.run([*prefix, 'ls', f'/proc/{tunnel.remote.pid}/fd'],
                          capture_output=True, text=True, check=False)
    assert look.returncode != 0 and 'denied' in look.stderr, look
    net.ping(tunnel.connect())


@needs_root
def test_a_configuration_that_only_root_can_read(world, echo, open_directory):
    """It starts, and says that it could not be read again."""
    tunnel = world.tunnel(echo.address)
    path = world.path('closed.ini')
    text = pathlib.Path(tunnel.remote.config_path).read_text(encoding='utf-8')
    address = f'127.0.0.1:{net.free_port()}'
    text = text.replace(tunnel.remote.address, address).replace(tunnel.remote.control,
                                                                world.path('closed.sock'))
    pathlib.Path(path).write_text(text.replace('[braidd]', f'[braidd]\nuser = {NOBODY}'),
                                  encoding='utf-8')
    os.chmod(path, 0o600)
    daemon = process.Process('closed', [os.environ['BRAIDD'], '-c', path], world.directory)
    world.processes.append(daemon)
    daemon.wait_log('ready$')
    assert daemon.lines(f'user {NOBODY} cannot read {path}, so it cannot be reloaded')


@needs_root
def test_keys_are_reloaded_by_the_user(world, echo, open_directory):
    """Those of the user are read as root, and again as the user; root's own only once."""
    user = pwd.getpwnam(NOBODY)
    key, closed = world.key('old'), world.key('roots', file='closed.key')
    os.chown(key, user.pw_uid, user.pw_gid)
    tunnel = world.tunnel(echo.address, remote={'top': f'user = {NOBODY}', 'security':
                                                f'key = {key}\nkey = {closed}'},
                          local={'security': f'key = {closed}'})
    assert tunnel.remote.lines(f'user {NOBODY} cannot read {closed}, so it cannot be reloaded')
    assert not tunnel.remote.lines(f'user {NOBODY} cannot read {key}')
    check_powerless(tunnel.remote)
    client = tunnel.connect()
    net.ping(client)
    tunnel.remote.signal(signal.SIGHUP)
    tunnel.remote.wait_log(f'remote.ini:[0-9]+: .remote web. key: {closed}: cannot be opened: '
                           f'Permission denied; it is user {user.pw_uid} who reads it')
    tunnel.remote.wait_log('all stays as it was')
    os.chown(closed, user.pw_uid, user.pw_gid)
    tunnel.remote.signal(signal.SIGHUP)
    tunnel.remote.wait_log('keys and certificates of .* are used from now on')
    net.ping(client)
    net.ping(tunnel.connect())


@needs_root
@pytest.mark.parametrize('other', [False, True])
def test_a_key_with_an_access_list(world, echo, open_directory, other):
    """Root's key that the daemon's user may read is as good as its own; another user may not."""
    user = pwd.getpwnam(NOBODY)
    key = world.key()
    entries = [(1, 6, None), (2, 4, user.pw_uid), *([(2, 4, user.pw_uid - 1)] if other else []),
               (4, 0, None), (16, 4, None), (32, 0, None)]
    acl = struct.pack('<I', 2) + b''.join(
        struct.pack('<HHI', tag, bits, 0xffffffff if who is None else who)
        for tag, bits, who in sorted(entries, key=lambda entry: (entry[0], entry[2] or 0)))
    try:
        os.setxattr(key, 'system.posix_acl_access', acl)
    except OSError as why:
        pytest.skip(f'no access lists here: {why}')
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o640
    daemon = world.remote(echo.address, top=f'user = {NOBODY}', security=f'key = {key}',
                          wait=not other, clean_exit=(other,))
    if other:
        assert daemon.wait_exit() == 1
        assert daemon.lines(f'key: {key}: is open to group or others .mode 0640')
    else:
        assert not daemon.lines('cannot be reloaded')
        daemon.signal(signal.SIGHUP)
        daemon.wait_log('keys and certificates of .* are used from now on')


@needs_root
def test_only_root_becomes_another(world, echo, open_directory):
    """Started by somebody else, the key is a mistake, but for that user itself."""
    user = pwd.getpwnam(NOBODY)
    prefix = ('setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups')
    skip_unless_runnable(prefix)
    same = world.remote(echo.address, name='same', top=f'user = {NOBODY}', prefix=prefix)
    check_powerless(same)
    assert status_of(same)['Uid'] == [str(user.pw_uid)] * 4
    other = world.remote(echo.address, name='other', top='user = daemon', prefix=prefix,
                         wait=False, clean_exit=(1,))
    assert other.wait_exit() == 1
    assert other.lines(r'user = daemon: only root can become another user: start braidd as root')


def test_open_files(world, echo):
    """So many sessions as are asked for get their open files, or it does not start."""
    # Of 4,000, a quarter is for connections that have not greeted.
    prefix = ('prlimit', '--nofile=512:4000')
    few = world.remote(echo.address, name='few', top='max-sessions = 500\nworkers = 1',
                       prefix=prefix)
    limits = pathlib.Path(f'/proc/{few.pid}/limits').read_text(encoding='ascii')
    files = next(line for line in limits.splitlines() if line.startswith('Max open files'))
    assert int(files.split()[3]) >= 4000
    auto = world.remote(echo.address, name='auto', top='workers = 1', prefix=prefix)
    assert 500 <= auto.status_json()['daemon']['max_sessions'] <= 800
    assert len(auto.lines('max-sessions is .* open files than the limit of 4000')) == 1
    many = world.remote(echo.address, name='many', top='max-sessions = 2000\nworkers = 1',
                        prefix=prefix, wait=False, clean_exit=(1,))
    assert many.wait_exit() == 1
    line = many.lines('max-sessions')[0]
    assert '2000 sessions need 112' in line and 'limit is 4000' in line, line


@pytest.mark.skipif(unit.why_not() is not None, reason=str(unit.why_not()))
def test_in_the_units_restrictions(world, echo, open_directory):
    """What braidd.service allows is enough: to start, carry sessions, tell of itself and stop."""
    source = pathlib.Path(__file__).parents[2] / 'systemd' / 'braidd.service.in'
    if not source.exists():
        pytest.skip('the unit is not here')
    prefix = (sys.executable, unit.__file__, str(source), NOBODY)
    if subprocess.run([*prefix, os.environ['BRAIDD'], '--version'], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip('the programs lie where the user nobody cannot run them')
    tunnel = world.tunnel(echo.address, remote={'prefix': prefix, 'top': f'user = {NOBODY}'},
                          local={'prefix': prefix, 'section': '[path p]\ninterface = lo'})
    for daemon in (tunnel.local, tunnel.remote):
        assert status_of(daemon)['Seccomp'] == ['2']
        check_powerless(daemon)
    for _ in range(3):
        net.ping(tunnel.connect(), b'x' * 100_000)
    for daemon in (tunnel.local, tunnel.remote):
        assert daemon.status_json() is not None
        assert not daemon.lines('not permitted|Operation not')
