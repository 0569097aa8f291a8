# SPDX-License-Identifier: MIT
"""Bytes whose value depends on their position, so that a byte lost, doubled or moved is seen."""

import functools
import random


class Pattern:
    """An endless stream of bytes: the same for the same seed, unlike for another."""

    PERIOD = 1048573  # a prime: no power of two, no frame and no buffer is a multiple of it

    def __init__(self, seed):
        block = random.Random(seed).randbytes(self.PERIOD)
        self._twice = memoryview(block + block)

    def at(self, offset, length):
        """The bytes from offset on; at most PERIOD of them."""
        assert length <= self.PERIOD
        start = offset % self.PERIOD
        return self._twice[start:start + length]

    def check(self, offset, data):
        """Fails with the offset of the first byte that is not what stands there."""
        view = memoryview(data)
        while len(view) > 0:
            part = view[:self.PERIOD]
            expected = self.at(offset, len(part))
            if part != expected:
                wrong = next(i for i, byte in enumerate(part) if byte != expected[i])
                self._fail(offset + wrong, bytes(part[wrong:wrong + 64]))
            offset += len(part)
            view = view[len(part):]

    def _fail(self, offset, seen):
        place = bytes(self._twice[:self.PERIOD]).find(seen[:16])
        where = 'these bytes are not of this stream'
        if len(seen) >= 16 and place >= 0:
            where = (f'these bytes belong {place - offset % self.PERIOD:+d} away '
                     f'(modulo {self.PERIOD})')
        raise AssertionError(f'wrong byte at offset {offset}: {where}; seen {seen[:16].hex()}, '
                             f'expected {self.at(offset, 16).hex()}')


@functools.lru_cache(maxsize=None)
def pattern(seed):
    """The pattern of a seed, made once."""
    return Pattern(seed)


UP = pattern('client to target')
DOWN = pattern('target to client')
