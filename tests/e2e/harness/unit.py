# SPDX-License-Identifier: MIT
"""What braidd.service forbids, without systemd: python3 unit.py UNIT USER PROGRAM [ARGUMENT...]

The unit's SystemCallFilter and RestrictAddressFamilies, a user without groups and capabilities,
and no new privileges; what it does to the file system is not done. x86-64 only.
"""

import ctypes
import os
import pathlib
import platform
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys

NUMBERS = pathlib.Path('/usr/include/x86_64-linux-gnu/asm/unistd_64.h')
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
ALLOW, REFUSE = 0x7fff0000, 0x00050000  # the latter with an errno in its lower half
EPERM, EAFNOSUPPORT = 1, 97
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER_AT, ARGUMENT_AT = 0, 16  # in struct seccomp_data


def why_not():
    """Why this machine cannot do it; None if it can."""
    if os.geteuid() != 0:
        return 'only root can become somebody else'
    if platform.machine() != 'x86_64' or not NUMBERS.exists():
        return 'the numbers of system calls are not known here'
    if shutil.which('systemd-analyze') is None:
        return 'there is no systemd-analyze to say what is in a group of system calls'
    return None


def settings(unit, name):
    """The words that the unit's lines of a name have, one list a line."""
    return [line.partition('=')[2].split()
            for line in pathlib.Path(unit).read_text(encoding='utf-8').splitlines()
            if line.startswith(f'{name}=')]


def calls(words):
    """Names of system calls; those of a group for its name."""
    names = set()
    for word in words:
        if not word.startswith('@'):
            names.add(word)
            continue
        listed = subprocess.run(['systemd-analyze', 'syscall-filter', '--no-pager', word],
                                capture_output=True, text=True, check=True).stdout
        lines = [line.strip() for line in listed.splitlines()[1:]]
        names |= calls(line for line in lines if line and not line.startswith('#'))
    return names


def allowed_calls(unit):
    """Numbers of the system calls that the unit's filter lets through."""
    allowed = calls(['@default', 'execve'])
    for words in settings(unit, 'SystemCallFilter'):
        if words[0].startswith('~'):
            allowed -= calls([words[0][1:], *words[1:]])
        else:
            allowed |= calls(words)
    known = {name: int(number) for name, number in
             re.findall(r'#define __NR_(\w+) (\d+)', NUMBERS.read_text(encoding='ascii'))}
    numbers = {known[name] for name in allowed if name in known}
    return numbers - {known['socket']}, known['socket']


def compiled(unit):
    """The filter, as the kernel wants it."""
    numbers, socket_call = allowed_calls(unit)
    families = [getattr(socket, name)
                for words in settings(unit, 'RestrictAddressFamilies') for name in words]
    code = [(LOAD, 0, 0, NUMBER_AT)]
    for number in sorted(numbers):
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    code += [(JUMP_EQUAL, 1, 0, socket_call), (RETURN, 0, 0, REFUSE | EPERM),
             (LOAD, 0, 0, ARGUMENT_AT)]
    for family in families:
        code += [(JUMP_EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, REFUSE | EAFNOSUPPORT))
    return len(code), b''.join(struct.pack('HBBI', *step) for step in code)


class Program(ctypes.Structure):
    """struct sock_fprog."""
    _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]


def main(unit, user, *command):
    """Gives everything up, and becomes the command."""
    length, code = compiled(unit)
    entry = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    memory = ctypes.create_string_buffer(code)
    program = Program(length, ctypes.cast(memory, ctypes.c_void_p))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl')
    os.execv(command[0], command)


if __name__ == '__main__':
    main(*sys.argv[1:])
