# SPDX-License-Identifier: MIT
"""Mistakes in the configuration: one line each, with file:line, section, key, what is accepted."""

import pytest

from harness.process import braidd_path, run

LOCAL = ['[local web]', 'listen = 127.0.0.1:1', 'remote = 127.0.0.1:2', 'security = none']
REMOTE = ['[remote web]', 'listen = 127.0.0.1:1', 'target = 127.0.0.1:2', 'security = none']


def check(world, lines):
    """braidd -t of these lines; returns the exit status, the messages, the file's name."""
    path = world.path('check.ini')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')
    result = run([braidd_path(), '-t', '-c', path])
    return result.returncode, result.stderr.splitlines(), path


def refused(world, lines, line, *words):
    """The file has one mistake, on that line (from 1), and the message has all these words."""
    status, messages, path = check(world, lines)
    assert status == 1
    hits = [message for message in messages if f'{path}:{line}: ' in message]
    assert len(hits) == 1, f'expected one message for line {line}: {messages}'
    for word in words:
        assert word in hits[0], f'{word!r} in {hits[0]!r}'
    assert len([message for message in messages if f'{path}:' in message]) == 1, messages


GLOBAL_VALUES = [
    ('workers', '0', ('auto', '1', '64')),
    ('workers', '65', ('auto', '1', '64')),
    ('workers', 'many', ('auto', '1', '64')),
    ('workers', '', ('auto', '1', '64')),
    ('workers', '2x', ('auto', '1', '64')),
    ('workers', '-1', ('auto', '1', '64')),
    ('workers', '18446744073709551617', ('auto', '1', '64')),
    ('control', 'run/control.sock', ('absolute',)),
    ('control', '/' + 'x' * 120, ('107',)),
    ('log-level', 'loud', ('error', 'warning', 'notice', 'info', 'debug')),
    ('max-sessions', '0', ('1', '1000000')),
    ('max-sessions', '1000001', ('1', '1000000')),
    ('max-sessions', '1k', ('1', '1000000')),
]


@pytest.mark.parametrize('key, value, accepted', GLOBAL_VALUES,
                         ids=[f'{key}={value[:20]}' for key, value, _ in GLOBAL_VALUES])
def test_bad_value_of_the_daemon(world, key, value, accepted):
    refused(world, ['[braidd]', f'{key} = {value}', *LOCAL], 2, 'braidd', key, *accepted)


LOCAL_VALUES = [
    ('subflows', '0', ('1', '16')),
    ('subflows', '17', ('1', '16')),
    ('subflows', 'four', ('1', '16')),
    ('mode', 'fast', ('aggregate',)),
    ('grace', '3601s', ('0', '3600')),
    ('grace', '2h', ('0', '3600')),
    ('grace', '5 fortnights', ('ms', 's', 'm', 'h')),
    ('grace', '-1s', ('ms', 's', 'm', 'h')),
    ('insecure', 'maybe', ('yes', 'no')),
]


@pytest.mark.parametrize('key, value, accepted', LOCAL_VALUES,
                         ids=[f'{key}={value}' for key, value, _ in LOCAL_VALUES])
def test_bad_value_of_a_local_section(world, key, value, accepted):
    refused(world, [*LOCAL, f'{key} = {value}'], 5, 'local web', key, *accepted)


@pytest.mark.parametrize('value', ['0', '65', 'x'])
def test_bad_value_of_a_remote_section(world, value):
    refused(world, [*REMOTE, f'max-subflows = {value}'], 5, 'remote web', 'max-subflows', '1', '64')


ADDRESSES = ['127.0.0.1', '127.0.0.1:', ':80', '127.0.0.1:65536', '127.0.0.1:http', '::1:80',
             '[::1]', '[::1:80', 'unix:', 'unix:' + '/' + 'x' * 120, '127.0.0.1:80:90', 'a b:80']


@pytest.mark.parametrize('value', ADDRESSES, ids=[value[:20] for value in ADDRESSES])
def test_bad_address(world, value):
    refused(world, [LOCAL[0], f'listen = {value}', *LOCAL[2:]], 2, 'local web', 'listen')
    refused(world, [*REMOTE[:2], f'target = {value}', REMOTE[3]], 3, 'remote web', 'target')


def test_a_listener_is_no_name(world):
    refused(world, [LOCAL[0], 'listen = www.example.net:80', *LOCAL[2:]], 2, 'local web', 'listen')


def test_unknown_key(world):
    refused(world, [*LOCAL, 'subflow = 4'], 5, 'local web', 'subflow', 'subflows')


def test_key_of_the_other_kind(world):
    refused(world, [*LOCAL, 'target = 127.0.0.1:3'], 5, 'local web', 'target')
    refused(world, [*REMOTE, 'remote = 127.0.0.1:3'], 5, 'remote web', 'remote')


def test_unknown_section(world):
    refused(world, ['[lokal web]', 'listen = 127.0.0.1:1', *LOCAL], 1, 'lokal', 'local', 'remote')


def test_key_outside_of_a_section(world):
    refused(world, ['workers = 1', *LOCAL], 1, 'workers')


def test_section_without_a_name(world):
    refused(world, ['[local]', *LOCAL[1:]], 1, 'local')


@pytest.mark.parametrize('name', ['a b', 'caf\u00e9', 'a=b', 'x' * 65, '"web"', 'a/b'])
def test_bad_name_of_a_section(world, name):
    refused(world, [f'[local {name}]', *LOCAL[1:]], 1, 'local', 'A-Z', '64')


def test_section_twice(world):
    status, messages, path = check(world, [*LOCAL, *LOCAL])
    assert status == 1
    assert any(f'{path}:5: ' in message and 'local web' in message
               for message in messages), messages


def test_key_twice(world):
    refused(world, [*LOCAL, 'grace = 1s', 'grace = 2s'], 6, 'local web', 'grace')


def test_line_without_equals(world):
    status, messages, path = check(world, [*LOCAL, 'nonsense'])
    assert status == 1
    assert any(f'{path}:5: ' in message for message in messages), messages


def test_overlong_line(world):
    status, messages, path = check(world, [*LOCAL, 'grace = ' + '1' * 5000])
    assert status == 1
    assert any(f'{path}:5: ' in message for message in messages), messages


@pytest.mark.parametrize('lines, missing', [(LOCAL, 'listen'), (LOCAL, 'remote'),
                                            (LOCAL, 'security'), (REMOTE, 'listen'),
                                            (REMOTE, 'target'), (REMOTE, 'security')],
                         ids=lambda value: value if isinstance(value, str) else value[0])
def test_missing_key(world, lines, missing):
    left = [line for line in lines if not line.startswith(missing)]
    refused(world, left, 1, left[0].strip('[]'), missing)


def test_nothing_to_do(world):
    status, messages, path = check(world, ['[braidd]', 'workers = 1'])
    assert status == 1
    assert any(path in message and 'local' in message and 'remote' in message
               for message in messages), messages


def test_every_mistake_is_told_at_once(world):
    status, messages, path = check(world, ['[braidd]', 'workers = 0', 'log-level = loud', *LOCAL,
                                           'grace = x', 'nonsense = 1'])
    assert status == 1
    for line in (2, 3, 8, 9):
        assert any(f'{path}:{line}: ' in message for message in messages), (line, messages)


def test_too_many_subflows_in_all(world):
    status, messages, path = check(world, [*LOCAL, 'remote = 127.0.0.1:3', 'subflows = 9'])
    assert status == 1
    hits = [message for message in messages if path in message]
    assert len(hits) == 1
    for word in ('local web', 'subflows', '16'):
        assert word in hits[0]


def test_not_supported_yet(world):
    refused(world, ['[braidd]', 'metrics = 127.0.0.1:9464', *LOCAL], 2, 'braidd', 'metrics',
            'not supported yet')


OPEN = [('local', 'remote = 192.0.2.1:7000'), ('local', 'remote = vpn.example.net:7000'),
        ('local', 'remote = [2001:db8::1]:7000'), ('remote', 'listen = 0.0.0.0:7000'),
        ('remote', 'listen = [::]:7000')]


@pytest.mark.parametrize('section, line', OPEN, ids=[' '.join(item) for item in OPEN])
def test_no_security_away_from_loopback(world, section, line):
    key = line.split()[0]
    lines = [line if old.startswith(key) else old
             for old in (LOCAL if section == 'local' else REMOTE)]
    status, messages, path = check(world, lines)
    assert status == 1
    hits = [message for message in messages if path in message]
    assert len(hits) == 1, messages
    for word in (f'{section} web', 'security', 'insecure = yes'):
        assert word in hits[0]
    status, messages, _ = check(world, [*lines, 'insecure = yes'])
    assert (status, messages) == (0, [])
    status, _, _ = check(world, [*lines, 'insecure = no'])
    assert status == 1


def test_the_other_side_may_be_anywhere(world):
    """Clients and targets are plain TCP either way: only the side between braids is asked about."""
    status, messages, _ = check(world, [LOCAL[0], 'listen = 0.0.0.0:1', *LOCAL[2:]])
    assert (status, messages) == (0, [])
    status, messages, _ = check(world, [*REMOTE[:2], 'target = 192.0.2.1:80', REMOTE[3]])
    assert (status, messages) == (0, [])


def test_every_key_that_is_alive(world):
    status, messages, _ = check(world, [
        '; a comment', '[braidd]', 'workers = auto', 'control = /run/braid/control.sock',
        'log-level = debug', 'max-sessions = 1000000', '',
        '[local one]', 'listen = 127.0.0.1:1', 'listen = [::1]:1', 'listen = unix:/run/one',
        'remote = 127.0.0.1:2', 'remote = localhost:2', 'security = none', 'insecure = no',
        'subflows = 8', 'mode = aggregate', 'grace = 500ms', '',
        '[local two]', 'listen = 127.0.0.1:3', 'remote = [::1]:4', 'security = none',
        'subflows = 16', 'grace = 1h', '',
        '[remote one]', 'listen = 127.0.0.1:5', 'listen = [::1]:5', 'target = www.example.net:80',
        'security = none', 'max-subflows = 64', '',
        '[remote two]', 'listen = 127.0.0.1:6', 'target = unix:/run/target', 'security = none'])
    assert (status, messages) == (0, [])


@pytest.mark.parametrize('grace', ['60s', '500ms', '2m', '1h', '0s', '3600s'])
def test_durations(world, grace):
    assert check(world, [*LOCAL, f'grace = {grace}'])[:2] == (0, [])


def test_routes_are_asked_of_the_source_s_own_family(world):
    """The other remotes are for other paths, which is nothing to warn of."""
    lines = [*LOCAL, 'remote = [::1]:2', '[path a]', 'source = 127.0.0.9', '[path b]',
             'interface = lo']
    assert check(world, lines)[:2] == (0, [])
