#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two network namespaces, client and server, joined by emulated links.

    with Laboratory([Path('100mbit', '5ms', '50ms'), Path('20mbit', '25ms', '100ms')]) as lab:
        subprocess.run([*lab.client.prefix, 'ping', '-c1', lab.paths[0].server])
        lab.links[1].down()

Path i (from 1) is the interface "path<i>" on both sides, 10.77.i.1 at the client's and 10.77.i.2 at
the server's. Either side reaches an address of the other by the path that it belongs to. The server
has 10.77.0.1 as well, which every path leads to, the first by default. On the client a socket bound
to a source address, or to an interface, leaves by that path; without policy, as on a machine that
nobody has set up for that, the source address alone decides nothing.

By hand, with commands for the emulator (linkemu --help) on standard input:

    tests/lab/laboratory.py --cc cubic 100mbit,5ms,50ms '20mbit,25ms,100ms,loss 1%'

Nothing outlives this process, however it ends: the namespaces live as long as one process each,
which waits for the end of its standard input, and the interfaces as long as the emulator, likewise.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
CLONE_NEWNET = 0x40000000
SHARED = '10.77.0.1'
# A new namespace does not take these over from the machine; measured is what the machine would do.
INHERITED = ('net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem')
SYSCTLS = {
    'net.ipv4.tcp_no_metrics_save': '1',  # a run must not know of the one before
    'net.ipv4.conf.all.rp_filter': '0',
    'net.ipv4.conf.default.rp_filter': '0',
    'net.ipv6.conf.all.disable_ipv6': '1',  # its router solicitations would be on the links
    'net.ipv6.conf.default.disable_ipv6': '1',
    'net.ipv4.ip_local_port_range': '10240 65535',
}


DEFAULT = 'net.ipv4.tcp_congestion_control'
DEFAULT_LOCK = threading.Lock()


class LaboratoryError(Exception):
    """The laboratory cannot be made, or one of its commands failed; the text says why."""


@dataclasses.dataclass
class Path:
    """What a link does, in linkemu's words; the same in both directions unless set otherwise."""

    rate: str = '0bit'
    delay: str = '0ms'
    queue: str = 'none'
    more: str = ''  # further settings: 'loss 0.5%', 'limit 50', 'police 10mbit burst 64k'

    # What the laboratory fills in.
    index: int = 0
    client: str = ''
    server: str = ''
    interface: str = ''

    def settings(self):
        """For add or set."""
        return f'rate {self.rate} delay {self.delay} queue {self.queue} {self.more}'.strip()


@contextlib.contextmanager
def _default(congestion_control):
    """Namespaces made meanwhile have this default, which can be set in none of them afterwards.

    The routes say it too, but kernel MPTCP's later subflows ask the default alone.
    """
    with DEFAULT_LOCK:
        before = _sysctl(DEFAULT)
        if congestion_control in (None, before):
            yield
            return
        try:
            _set_sysctl(DEFAULT, congestion_control)
            yield
        finally:
            _set_sysctl(DEFAULT, before)


class Namespace:
    """A network namespace that lives as long as its one waiting process."""

    def __init__(self, name):
        self.name = name
        # pylint: disable=consider-using-with
        self._holder = subprocess.Popen(
            ['unshare', '--net', 'sh', '-c', 'ip link set lo up && echo up && exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        if self._holder.stdout.readline() != 'up\n':
            _, words = self._holder.communicate(timeout=10)
            raise LaboratoryError(f'no namespace: {words.strip()}')
        self.path = f'/proc/{self._holder.pid}/ns/net'
        self.prefix = ['nsenter', f'--net={self.path}', '--']

    def run(self, *command, text=None, check=True):
        """Runs a command inside to its end; its standard output."""
        done = subprocess.run([*self.prefix, *command], input=text, capture_output=True, text=True,
                              check=False, timeout=30)
        if check and done.returncode != 0:
            raise LaboratoryError(f'{" ".join(command)}, {self.name}: {done.stderr.strip()}')
        return done.stdout

    def batch(self, lines):
        """Runs many commands of ip inside."""
        self.run('ip', '-batch', '-', text='\n'.join(lines) + '\n')

    def sysctls(self, values):
        """Sets sysctls inside only."""
        script = ''.join(f'echo {value!r} >/proc/sys/{name.replace(".", "/")} || exit 1\n'
                         for name, value in values.items())
        self.run('sh', text=script)

    def call(self, function, *args, timeout=30):
        """Calls a function in a thread inside: the sockets that it makes belong there for ever."""
        result = []

        def inside():
            try:
                with open(self.path, 'rb') as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), 'setns')
                result.append((function(*args), None))
            except BaseException as error:  # pylint: disable=broad-except
                result.append((None, error))
        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(timeout)
        if not result:
            raise LaboratoryError(f'{function} in {self.name} took longer than {timeout} s')
        if result[0][1] is not None:
            raise result[0][1]
        return result[0][0]

    def close(self):
        """Ends it; it is gone once no process and no socket is left inside."""
        self._holder.kill()
        self._holder.communicate()


class Link:
    """The emulated link of one path, while it runs; direction: 'ab' up, 'ba' down, '' both."""

    def __init__(self, emulator, name):
        self._emulator = emulator
        self.name = name

    def _do(self, command, direction, words=''):
        self._emulator.command(f'{command} {self.name} {direction} {words}')

    def set(self, settings, direction=''):
        """Changes settings, as 'rate 5mbit'."""
        self._do('set', direction, settings)

    def down(self, direction=''):
        """Loses everything, silently."""
        self._do('down', direction)

    def up(self, direction=''):
        """Carries frames again."""
        self._do('up', direction)

    def pause(self, duration, direction=''):
        """Holds everything for a time, as '200ms', and loses nothing."""
        self._do('pause', direction, duration)

    def carrier(self, on, direction=''):
        """Lets the interfaces know: 'ab' the client's, 'ba' the server's."""
        self._do('carrier', direction, 'on' if on else 'off')

    def stats(self):
        """Its counters since it was made: {'ab': {...}, 'ba': {...}}."""
        return self._emulator.stats()[self.name]


class Emulator:
    """A running linkemu."""

    def __init__(self, namespaces):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(
            [program(), *(one.path for one in namespaces)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
        self._lock = threading.Lock()
        self.pid = self._process.pid

    def command(self, line):
        """Gives a command; what it answered."""
        with self._lock:
            try:
                self._process.stdin.write(line + '\n')
                answer = self._process.stdout.readline().strip()
            except BrokenPipeError:
                answer = ''
        if not answer or answer.startswith('error'):
            raise LaboratoryError(f'linkemu: {line}: {answer or "it has ended"}')
        return answer

    def stats(self):
        """The counters of all links."""
        return json.loads(self.command('stats'))

    def close(self):
        """Ends it, and with it the links."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Laboratory:
    """Both namespaces and the links between them; close() or "with" takes them away."""

    def __init__(self, paths, congestion_control=None, seed=1, policy=True):
        reason = why_not()
        if reason:
            raise LaboratoryError(reason)
        self.paths = [dataclasses.replace(
            path, index=i, client=f'10.77.{i}.1', server=f'10.77.{i}.2', interface=f'path{i}')
            for i, path in enumerate(paths, 1)]
        self._policy = policy
        self._congctl = f' congctl {congestion_control}' if congestion_control else ''
        self._open = []
        try:
            with _default(congestion_control):
                self.client = self._keep(Namespace('client'))
                self.server = self._keep(Namespace('server'))
            self.emulator = self._keep(Emulator((self.client, self.server)))
            self.links = [self._link(path, seed) for path in self.paths]
            self._configure()
        except BaseException:
            self.close()
            raise

    def _keep(self, thing):
        self._open.append(thing)
        return thing

    def _link(self, path, seed):
        self.emulator.command(f'add {path.index} {path.interface} {path.interface} '
                              f'{path.settings()}')
        link = Link(self.emulator, str(path.index))
        for offset, direction in enumerate(('ab', 'ba')):
            link.set(f'seed {seed * 1000 + 2 * path.index + offset}', direction)
        return link

    def _configure(self):
        inherited = {name: _sysctl(name) for name in INHERITED}
        for side in (self.client, self.server):
            side.sysctls({**SYSCTLS, **inherited})
        for side in (self.client, self.server):
            side.batch([f'route replace table local local {route} dev lo proto kernel scope host '
                        f'src 127.0.0.1{self._congctl}' for route in ('127.0.0.0/8', '127.0.0.1')])
        for path in self.paths:
            i, dev = path.index, path.interface
            for side, here, there in ((self.client, 1, 2), (self.server, 2, 1)):
                side.batch([
                    f'link set {dev} address 02:00:00:00:{i:02x}:{here:02x}',
                    f'link set {dev} up',
                    # A silent link is silent: it must not show as an address that does not resolve.
                    f'neighbor replace 10.77.{i}.{there} lladdr 02:00:00:00:{i:02x}:{there:02x} '
                    f'dev {dev} nud permanent',
                ])
            self.server.batch(self._address(path, path.server))
            if self._policy:
                self.client.batch([f'rule add from {path.client} lookup {i} priority {100 + i}'])
            self.add_address(i)
        self.server.batch([f'address add {SHARED}/32 dev lo'])

    def _address(self, path, address):
        return [f'address add {address}/24 dev {path.interface} noprefixroute',
                f'route add 10.77.{path.index}.0/24 dev {path.interface} src {address}'
                f'{self._congctl}']

    def add_address(self, index):
        """Gives the client its address on a path, and the routes by it."""
        path = self.paths[index - 1]
        default = (f'default via {path.server} dev {path.interface} src {path.client}'
                   f'{self._congctl}')
        lines = [*self._address(path, path.client), f'route add {default} metric {index}']
        if self._policy:
            lines.append(f'route add {default} table {index}')
        self.client.batch(lines)

    def remove_address(self, index):
        """Takes it away, as a lost lease does; the kernel removes the routes with it."""
        path = self.paths[index - 1]
        self.client.batch([f'address del {path.client}/24 dev {path.interface}'])

    def add_client_address(self, index, host):
        """One more address of the client on a path, which leaves by it as well."""
        path = self.paths[index - 1]
        address = f'10.77.{index}.{host}'
        self.client.batch([f'address add {address}/24 dev {path.interface} noprefixroute',
                           f'rule add from {address} lookup {index} priority {200 + index}'])
        self.server.batch([f'neighbor replace {address} lladdr 02:00:00:00:{index:02x}:01 '
                           f'dev {path.interface} nud permanent'])
        return address

    def wire_bytes(self):
        """Bytes of the frames that the links have taken so far: (from the client, to it)."""
        stats = self.emulator.stats().values()
        return (sum(one['ab']['in_bytes'] for one in stats),
                sum(one['ba']['in_bytes'] for one in stats))

    def close(self):
        """Takes everything away."""
        while self._open:
            self._open.pop().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _sysctl(name):
    with open('/proc/sys/' + name.replace('.', '/'), encoding='ascii') as file:
        return ' '.join(file.read().split())


def _set_sysctl(name, value):
    with open('/proc/sys/' + name.replace('.', '/'), 'w', encoding='ascii') as file:
        file.write(value)


_built = []


def program():
    """The built linkemu, or one compiled for this process when there is no build."""
    places = [os.environ.get('LINKEMU', '')]
    places += [os.path.join(os.environ[name], 'tests', 'lab', 'linkemu')
               for name in ('top_builddir', 'BRAID_BUILD') if os.environ.get(name)]
    for place in places + _built:
        if place and os.access(place, os.X_OK):
            return place
    # pylint: disable-next=consider-using-with
    directory = tempfile.TemporaryDirectory(prefix='braid-lab-')
    path = os.path.join(directory.name, 'linkemu')
    sources = [os.path.join(HERE, name) for name in os.listdir(HERE)
               if name.endswith('.c') and not name.startswith('test_')]
    subprocess.run([*os.environ.get('CC', 'cc').split(), '-std=c11', '-D_GNU_SOURCE', '-O2', '-o',
                    path, *sources], check=True)
    program.directory = directory  # until this process ends
    _built.append(path)
    return path


def why_not():
    """Why there can be no laboratory here; None: there can."""
    for tool in ('unshare', 'nsenter', 'ip', 'sh', 'cat'):
        if shutil.which(tool) is None:
            return f'there is no {tool} here'
    if not os.path.exists('/dev/net/tun'):
        return 'there is no /dev/net/tun here'
    try:
        probe = Namespace('probe')
    except LaboratoryError as error:
        return str(error)
    try:
        probe.run('ip', 'tuntap', 'add', 'probe', 'mode', 'tap')
        probe.run('ip', 'rule', 'add', 'from', '192.0.2.1', 'lookup', '1')
    except LaboratoryError as error:
        return f'no privilege for a laboratory: {error}'
    finally:
        probe.close()
    return None


def main():
    """A laboratory for the terminal."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--cc', metavar='NAME', help='congestion control, of all connections')
    parser.add_argument('paths', nargs='+', metavar='RATE,DELAY,QUEUE[,MORE]')
    given = parser.parse_args()
    try:
        paths = [Path(*words.split(',', 3)) for words in given.paths]
        with Laboratory(paths, given.cc) as lab:
            for side in (lab.client, lab.server):
                print(f'{side.name}: {" ".join(side.prefix)} COMMAND')
            for path in lab.paths:
                print(f'path {path.index}: {path.client} to {path.server}, {path.settings()}')
            for line in sys.stdin:
                try:
                    print(lab.emulator.command(line.strip()))
                except LaboratoryError as error:
                    print(error)
    except LaboratoryError as error:
        sys.exit(f'laboratory: {error}')
    except KeyboardInterrupt:
        pass


if __name__ == '__main__':
    main()
