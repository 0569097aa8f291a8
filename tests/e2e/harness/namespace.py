# SPDX-License-Identifier: MIT
"""A network and mount namespace with loopback only and a resolv.conf of its own."""

import ctypes
import os
import shutil
import subprocess

from . import net

CLONE_NEWNET = 0x40000000

SETUP = '''
set -e
ip link set lo up
mount --bind "$1" /etc/resolv.conf
echo up
exec sleep infinity
'''


class Namespace:
    """Lives as long as its one sleeping process."""

    def __init__(self, directory):
        self.resolv_conf = os.path.join(directory, 'resolv.conf')
        with open(self.resolv_conf, 'w', encoding='ascii') as file:
            file.write('nameserver 127.0.0.1\noptions timeout:1 attempts:2\n')
        # pylint: disable=consider-using-with
        self._holder = subprocess.Popen(
            ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-c', SETUP, 'sh',
             self.resolv_conf], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != 'up\n':
            _, words = self._holder.communicate(timeout=net.DEADLINE)
            raise OSError(f'no namespace: {words.strip()}')
        self.prefix = ['nsenter', '-t', str(self._holder.pid), '--net', '--mount', '--']

    def call(self, function, *args):
        """Calls a function in a thread inside: the sockets that it makes belong there for ever."""
        def inside():
            with open(f'/proc/{self._holder.pid}/ns/net', 'rb') as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), 'setns')
            return function(*args)
        return net.background(inside).result(net.DEADLINE)

    def close(self):
        """Ends it."""
        self._holder.kill()
        self._holder.communicate()


def why_not():
    """Why there can be no namespace here; None: there can."""
    for tool in ('unshare', 'nsenter', 'ip', 'mount'):
        if shutil.which(tool) is None:
            return f'there is no {tool} here'
    result = subprocess.run(['unshare', '--net', '--mount', 'true'], check=False,
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, timeout=net.DEADLINE)
    return None if result.returncode == 0 else f'no namespaces here: {result.stderr.strip()}'
