# SPDX-License-Identifier: MIT
"""The programs under test: started, watched, stopped by their pid, and judged by their end."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess

from . import net

SANITIZER = re.compile(r'(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:'
                       r'|Assertion .* failed|corrupted|stack smashing')


def braidd_path():
    """The daemon to test."""
    return os.environ['BRAIDD']


def braid_path():
    """The command line tool to test."""
    return os.environ['BRAID']


def run(command, timeout=net.DEADLINE, **more):
    """Runs a command to its end; standard output and error are in the result, as text."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, timeout=timeout, check=False, **more)
    found = SANITIZER.search(result.stderr)
    assert found is None, f'{command[0]} reported: {result.stderr}'
    return result


class Process:
    """A running program whose standard error goes to a file."""

    def __init__(self, name, command, directory, env=None, pass_fds=(), clean_exit=(0,)):
        self.name = name
        self.log_path = os.path.join(directory, f'{name}.log')
        self.clean_exit = clean_exit
        self._killed = False
        service_managers = ('NOTIFY_SOCKET', 'LISTEN_FDS', 'LISTEN_PID', 'JOURNAL_STREAM')
        environment = {key: value for key, value in os.environ.items()
                       if key not in service_managers}
        environment.setdefault('UBSAN_OPTIONS', 'print_stacktrace=1')
        environment.update(env or {})
        with open(self.log_path, 'ab') as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment, pass_fds=pass_fds)
        self.pid = self.process.pid

    # ---- its log ----

    def log(self):
        """What it has written since it was started."""
        with open(self.log_path, encoding='utf-8', errors='backslashreplace') as file:
            file.seek(self._log_start)
            return file.read()

    def lines(self, expression):
        """The lines of its log in which the regular expression is found."""
        found = re.compile(expression)
        return [line for line in self.log().splitlines() if found.search(line)]

    def wait_log(self, expression, timeout=net.DEADLINE):
        """Waits for a line in its log; returns the match."""
        found = re.compile(expression, re.MULTILINE)

        def look():
            match = found.search(self.log())
            if match is None and self.process.poll() is not None:
                raise AssertionError(f'{self.name} ended with {self.process.returncode} while '
                                     f'{expression!r} was waited for')
            return match
        return net.wait_for(look, f'{expression!r} in the log of {self.name}', timeout)

    # ---- its state ----

    def status(self, field):
        """A number of /proc/PID/status; sizes are in bytes."""
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            for line in file:
                if line.startswith(field + ':'):
                    words = line.split()
                    return int(words[1]) * (1024 if words[-1] == 'kB' else 1)
        raise KeyError(field)

    def rss(self):
        """Resident bytes now."""
        return self.status('VmRSS')

    def peak_rss(self):
        """Resident bytes at most so far."""
        return self.status('VmHWM')

    def sanitized(self):
        """Whether it runs under AddressSanitizer (its shadow makes it huge; RSS says nothing)."""
        return self.status('VmSize') > 1 << 40

    def threads(self):
        """How many threads it has."""
        return len(os.listdir(f'/proc/{self.pid}/task'))

    def descriptors(self):
        """Its open descriptors."""
        return sorted(int(name) for name in os.listdir(f'/proc/{self.pid}/fd'))

    def limit_descriptors(self, most):
        """Sets its soft limit of descriptors; None: back to the hard one."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (most if most else hard, hard))

    def alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    # ---- its end ----

    def signal(self, number):
        """Sends it a signal."""
        self.process.send_signal(number)

    def kill(self):
        """kill -9; its end is then not judged."""
        self._killed = True
        self.process.kill()
        self.process.wait(net.DEADLINE)

    def wait_exit(self, timeout=net.DEADLINE):
        """Waits for its end; returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.name} still runs after {timeout:g} s') from None

    def stop(self):
        """SIGTERM, and a second one if sessions keep it; then judges it."""
        if self.alive():
            self.signal(signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                net.wait_for(lambda: not self.alive() or self.lines('stopping: [1-9]'),
                             'its end or its sessions', 2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        if self.alive() and self.lines('stopping: [1-9]') and not self.lines(r'\bstopped$'):
            self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(net.DEADLINE)
        self.judge()

    def judge(self):
        """Fails unless it has ended, cleanly, and no sanitizer had anything to say."""
        if self.alive():
            self.kill()
            raise AssertionError(f'{self.name} did not stop when told to')
        found = SANITIZER.search(self.log())
        assert found is None, f'{self.name}: {found.group()} in its log'
        if not self._killed:
            assert self.process.returncode in self.clean_exit, \
                f'{self.name} ended with {self.process.returncode}'


class Braidd(Process):
    """braidd with a configuration, ready to serve when constructed."""

    def __init__(self, name, config, directory, prefix=(), wait=True, **more):
        self.config_path = os.path.join(directory, f'{name}.ini')
        with open(self.config_path, 'w', encoding='utf-8') as file:
            file.write(config)
        self.control = os.path.join(directory, f'{name}.sock')
        super().__init__(name, [*prefix, braidd_path(), '-c', self.config_path], directory, **more)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """Waits until it listens."""
        try:
            self.wait_log(r'\bready$')
        except BaseException:
            if self.alive():
                self.kill()
            raise

    def braid_status(self, *options):
        """`braid status` of this daemon."""
        return run([braid_path(), 'status', *options, '--control', self.control])

    def status_json(self):
        """`braid status --json` of this daemon, parsed."""
        result = self.braid_status('--json')
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def session_lines(self, count=1, timeout=net.DEADLINE):
        """Waits for so many session-end lines in its log; each as a dict of its fields."""
        def look():
            lines = self.lines(r'\bsession [0-9a-f]+ tunnel=')
            return lines if len(lines) >= count else None
        lines = net.wait_for(look, f'{count} session-end lines in the log of {self.name}', timeout)
        return [dict(word.split('=', 1) for word in line.split() if '=' in word) |
                {'line': line} for line in lines]
