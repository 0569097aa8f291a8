# SPDX-License-Identifier: MIT
"""braidd at both ends of a laboratory (tests/lab): namespaces joined by emulated links."""

import os
import re
import sys

from . import net, process
from .transfer import Transfer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lab'))
# pylint: disable-next=wrong-import-position,unused-import
from laboratory import SHARED, Laboratory, Path, why_not  # noqa: E402,F401

TWO = (Path('40mbit', '5ms', '50ms'), Path('40mbit', '5ms', '50ms'))
NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all',
          '--bounding-set=-all', '--no-new-privs', '--']


class Paths:
    """A laboratory with braidd at both ends; without sections, each link is a path of its own.

    sections: [path ...] sections of the local end, in which PORT stands for the remote's port;
    without privilege, the local end runs as nobody.
    """

    # pylint: disable-next=too-many-arguments
    def __init__(self, lab, world, section='', handler=None, sections=None, privilege=True,
                 remote_section=''):
        self.lab = lab
        self.links = lab.links
        self._world = world
        self._port = net.free_port()
        self.target = lab.server.call(lambda: world.origin(handler=handler))
        self._remote_section = f'insecure = yes\n{remote_section}'
        self.start_remote()
        remotes = [path.server for path in lab.paths] if sections is None else [SHARED]
        self._remotes = '\nremote = '.join(f'{remote}:{self._port}' for remote in remotes)
        prefix = lab.client.prefix
        if not privilege:
            os.chmod(world.directory, 0o777)
            prefix = [*prefix, *NOBODY]
        self.sections = (sections or '').replace('PORT', str(self._port))
        self.local = world.local(self._remotes, prefix=prefix,
                                 section=f'insecure = yes\n{section}\n{self.sections}')

    def start_remote(self):
        """Starts the remote end, or starts it again after a kill."""
        self.remote = self._world.remote(self.target.address, address=f'0.0.0.0:{self._port}',
                                         section=self._remote_section,
                                         prefix=self.lab.server.prefix)

    def connect(self):
        """A client beside the local endpoint."""
        return self.lab.client.call(self._world.connect, self.local.address)

    def sockets(self, state='established', more=''):
        """What ss says of the client's connections to the remote end, a line each."""
        return self.lab.client.run('ss', '-Htn', *more.split(), 'state', state, 'dport', '=',
                                   f':{self._port}').splitlines()

    def subflows(self):
        """The client's addresses of the subflows that are established now."""
        return sorted(re.search(r'10\.77\.\d+\.\d+(%\w+)?:\d+', line).group()
                      for line in self.sockets())

    def on(self, path):
        """How many of them are on a path."""
        return sum(f'10.77.{path}.' in line for line in self.subflows())

    def transfer(self, subflows=None):
        """A session with bytes both ways, on every path."""
        transfer = Transfer(self, self.target)
        transfer.wait_subflows(len(self.lab.paths) if subflows is None else subflows)
        transfer.wait_more()
        return transfer

    def carried(self, path, way=None):
        """Bytes of frames that a path has delivered, both ways or one."""
        stats = self.links[path - 1].stats()
        return sum(stats[one]['out_bytes'] for one in ((way,) if way else ('ab', 'ba')))

    def wait_carried(self, path, more=1 << 20, timeout=net.DEADLINE):
        """Waits until a path has carried so many more bytes."""
        goal = self.carried(path) + more
        net.wait_for(lambda: self.carried(path) >= goal, f'{more} more bytes on path {path}',
                     timeout, interval=0.02)

    def state(self, name):
        """What braid status --json says of a path."""
        tunnel, = self.local.status_json()['tunnels']
        found, = (path for path in tunnel['paths'] if path['name'] == name)
        return found

    def active(self):
        """How many subflows of the local end's one session the remote has answered."""
        session, = self.local.status_json()['tunnels'][0]['sessions']
        return sum(one['state'] == 'active' for one in session['subflows'])

    def wait_state(self, name, state, timeout=net.DEADLINE):
        """Waits until a path is in a state; what is known of it then."""
        return net.wait_for(lambda: (lambda found: found if found['state'] == state else None)
                            (self.state(name)), f'path {name} {state}', timeout)

    def check_config(self):
        """What braidd -t says of the local end's configuration, run as it is; and its status."""
        prefix = list(self.local.process.args[:-3])
        done = process.run([*prefix, process.braidd_path(), '-t', '-c', self.local.config_path])
        return done.stderr.splitlines(), done.returncode
