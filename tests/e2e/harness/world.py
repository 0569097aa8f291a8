# SPDX-License-Identifier: MIT
"""A world that owns every process, origin and file of a test and takes them away again."""

import os
import shutil
import tempfile

from . import net, origin as origins, process


class World:
    """What a test has started; with_key: subflows are under TLS, unless a test says otherwise."""

    def __init__(self, with_key=False):
        self.directory = tempfile.mkdtemp(prefix='braid-e2e-', dir='/tmp')
        self.processes = []
        self._closers = []
        self._last_words = None
        self.security = f'key = {self.key()}' if with_key else 'security = none'

    def path(self, name):
        """A path below the test's own directory, short enough for a unix socket."""
        return os.path.join(self.directory, name)

    def key(self, *names, file='web.key'):
        """A file with a fresh key for each name (web), that braid keygen has made."""
        path = self.path(file)
        keys = [process.run([process.braid_path(), 'keygen', '--name', name]).stdout
                for name in names or ['web']]
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), 'w',
                  encoding='ascii') as out:
            out.write(''.join(keys))
        return path

    def add(self, thing):
        """Has close() of a thing called at the end; returns the thing."""
        self._closers.append(thing.close)
        return thing

    def connect(self, address, **more):
        """A client's socket."""
        return self.add(net.connect(address, **more))

    def origin(self, address='127.0.0.1:0', handler=None, **more):
        """A server to be the target."""
        return self.add(origins.Origin(address, handler, **more))

    def braidd(self, name, config, **more):
        """A running braidd with a control socket; config is what its file says below that."""
        head = f'[braidd]\ncontrol = {self.path(name)}.sock\n'
        wait = more.pop('wait', True)
        daemon = process.Braidd(name, head + config, self.directory, wait=False, **more)
        self.processes.append(daemon)
        if wait:
            daemon.wait_ready()
        return daemon

    def remote(self, target, listen='127.0.0.1', name='remote', top='', section='', **more):
        """A remote endpoint, and the address it listens on."""
        address = listen if listen.startswith('unix:') else f'{listen}:{net.free_port()}'
        address = more.pop('address', address)
        security = more.pop('security', self.security)
        daemon = self.braidd(name, f'{top}\n[remote web]\nlisten = {address}\ntarget = {target}\n'
                                   f'{security}\n{section}\n', **more)
        daemon.address = address
        return daemon

    def local(self, remote, listen='127.0.0.1', name='local', top='', section='', **more):
        """A local endpoint, and the address it listens on."""
        address = listen if listen.startswith('unix:') else f'{listen}:{net.free_port()}'
        security = more.pop('security', self.security)
        daemon = self.braidd(name, f'{top}\n[local web]\nlisten = {address}\nremote = {remote}\n'
                                   f'{security}\n{section}\n', **more)
        daemon.address = address
        return daemon

    def tunnel(self, target, remote=None, local=None):
        """Both endpoints, one process each."""
        return Tunnel(self, target, remote or {}, local or {})

    def logs(self):
        """What each process was configured to do and what it wrote, for a report of failure."""
        if self._last_words is not None:
            yield from self._last_words
            return
        for running in self.processes:
            with open(getattr(running, 'config_path', os.devnull), encoding='utf-8') as file:
                config = file.read()
            log = running.log()
            if len(log) > 20000:
                log = f'{log[:10000]}\n[... {len(log) - 20000} characters ...]\n{log[-10000:]}'
            yield running.name, f'{config}\n{log}'

    def stop(self):
        """Takes everything away; the first failure is raised at the end."""
        failures = []
        for close in reversed(self._closers):
            try:
                close()
            except (AssertionError, OSError) as error:
                failures.append(error)
        for running in reversed(self.processes):
            try:
                running.stop()
            except AssertionError as error:
                failures.append(error)
        self._last_words = list(self.logs()) if failures else []
        shutil.rmtree(self.directory, ignore_errors=True)
        if failures:
            raise failures[0]


class Tunnel:
    """A local endpoint whose remote endpoint leads to a target."""

    def __init__(self, world, target, remote, local):
        self._world = world
        self.remote = world.remote(target, **remote)
        self.local = world.local(self.remote.address, **local)
        self.port = None
        if not self.remote.address.startswith('unix:'):
            self.port = int(self.remote.address.rpartition(':')[2])

    def connect(self, **more):
        """A client of the tunnel."""
        return self._world.connect(self.local.address, **more)

    def session(self, target):
        """A client and its connection at the target, bytes having gone both ways."""
        client = self.connect()
        client.sendall(b'hello')
        served = target.accept()
        assert net.recv_exact(served, 5) == b'hello'
        served.sendall(b'olleh')
        assert net.recv_exact(client, 5) == b'olleh'
        return client, served

    def subflows(self):
        """The local ports of the subflows that are established now."""
        return net.connections(self.port)
