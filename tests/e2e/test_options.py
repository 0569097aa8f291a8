# SPDX-License-Identifier: MIT
"""The command lines of braidd and braid."""

import os
import re
import stat

import pytest

from harness.process import braid_path, braidd_path, run

GOOD = '''
[local web]
listen = 127.0.0.1:1
remote = 127.0.0.1:2
security = none
'''


@pytest.mark.parametrize('program', [braidd_path, braid_path], ids=['braidd', 'braid'])
@pytest.mark.parametrize('option', ['-V', '--version'])
def test_version(program, option):
    result = run([program(), option])
    assert result.returncode == 0
    assert re.search(r'\b\d+\.\d+\.\d+', result.stdout), result.stdout
    assert result.stderr == ''


@pytest.mark.parametrize('program', [braidd_path, braid_path], ids=['braidd', 'braid'])
@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help(program, option):
    result = run([program(), option])
    assert result.returncode == 0
    assert 'usage' in result.stdout.lower()
    assert result.stderr == ''


def test_help_names_every_option():
    words = run([braidd_path(), '-h']).stdout
    for option in ('-c', '-t', '-V', '-h'):
        assert re.search(rf'(^|[\s,\[]){option}\b', words, re.MULTILINE), f'{option} in {words}'


@pytest.mark.parametrize('arguments', [['-Z'], ['--no-such-option'], ['-c'], ['stray'], []],
                         ids=['short', 'long', 'no-value', 'stray', 'nothing'])
def test_bad_options_of_braidd(arguments):
    result = run([braidd_path(), *arguments])
    assert result.returncode not in (0, None) and result.returncode > 0
    assert result.stdout == ''
    assert result.stderr.strip() != ''


@pytest.mark.parametrize('arguments', [['-Z'], ['frobnicate'], ['status', '--no-such-option'],
                                       ['status', '--control'], ['status', 'stray'], []],
                         ids=['short', 'command', 'option', 'no-value', 'stray', 'nothing'])
def test_bad_options_of_braid(arguments):
    result = run([braid_path(), *arguments])
    assert result.returncode > 0
    assert result.stdout == ''
    assert result.stderr.strip() != ''


def test_the_message_names_the_bad_option():
    assert 'no-such-option' in run([braidd_path(), '--no-such-option']).stderr
    assert 'frobnicate' in run([braid_path(), 'frobnicate']).stderr


def test_check_of_a_good_configuration(world):
    path = world.path('good.ini')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(GOOD)
    result = run([braidd_path(), '-t', '-c', path])
    assert result.returncode == 0, result.stderr


def test_check_of_a_bad_configuration(world):
    path = world.path('bad.ini')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(GOOD + 'no-such-key = 1\n')
    result = run([braidd_path(), '-t', '-c', path])
    assert result.returncode == 1
    assert f'{path}:6: ' in result.stderr


def test_check_binds_nothing(world):
    """-t can be asked while the daemon runs: the ports of the file are taken by then."""
    daemon = world.local('127.0.0.1:1')
    result = run([braidd_path(), '-t', '-c', daemon.config_path])
    assert result.returncode == 0, result.stderr
    world.connect(daemon.address).close()


def test_a_missing_file_is_named(world):
    for option in ([], ['-t']):
        result = run([braidd_path(), *option, '-c', world.path('none.ini')])
        assert result.returncode == 1
        assert world.path('none.ini') in result.stderr
        assert 'No such file' in result.stderr


def test_a_file_that_is_none(world):
    """A directory, and bytes that are no text."""
    path = world.path('binary.ini')
    with open(path, 'wb') as file:
        file.write(bytes(range(256)) * 100)
    for name in (world.directory, path):
        result = run([braidd_path(), '-t', '-c', name])
        assert result.returncode == 1
        assert name in result.stderr
        assert len(result.stderr) < 20_000


def test_a_port_that_is_taken_is_named(world, echo):
    path = world.path('taken.ini')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(GOOD.replace('127.0.0.1:1\n', f'{echo.address}\n'))
    result = run([braidd_path(), '-c', path])
    assert result.returncode > 0
    assert echo.address in result.stderr
    assert 'in use' in result.stderr
    assert re.search(r'\bready$', result.stderr, re.MULTILINE) is None


def test_status_without_a_daemon(world):
    result = run([braid_path(), 'status', '--control', world.path('none.sock')])
    assert result.returncode > 0
    assert result.stdout == ''
    assert world.path('none.sock') in result.stderr


def test_keygen():
    """Keys that differ, each with a name, in the form of a key file."""
    keys = [run([braid_path(), 'keygen', *arguments]).stdout for arguments in
            ([], [], ['--name', 'web'], ['-n', 'web'])]
    lines = [[line for line in key.splitlines() if not line.startswith('#')] for key in keys]
    assert all(len(line) == 1 for line in lines), keys
    names, secrets = zip(*(re.fullmatch(r'(\S+) ([0-9a-f]{64})', line[0]).groups()
                           for line in lines))
    assert len(set(secrets)) == 4
    assert names[0] != names[1] and names[2:] == ('web', 'web')


def into(path):
    """braid keygen, its output where the shell puts it."""
    return run(['sh', '-c', 'exec "$0" keygen >"$1"', braid_path(), path])


@pytest.mark.parametrize('umask', [0o022, 0o000, 0o077])
def test_keygen_into_a_file(world, umask):
    """Whatever the shell has made of the file, it is closed to others before there is a key in it."""
    path = world.path('web.key')
    before = os.umask(umask)
    try:
        result = into(path)
    finally:
        os.umask(before)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.path.getsize(path) > 64


@pytest.mark.parametrize('arguments', [['stray'], ['--name', ''], ['--name', 'a b'], ['--name'],
                                       ['--name', 'x' * 65]])
def test_keygen_refuses(arguments):
    result = run([braid_path(), 'keygen', *arguments])
    assert result.returncode == 2
    assert result.stdout == ''
    assert 'braid keygen' in result.stderr


def test_keygen_says_when_it_cannot_write():
    result = into('/dev/full')
    assert result.returncode == 1
    assert 'No space left' in result.stderr
