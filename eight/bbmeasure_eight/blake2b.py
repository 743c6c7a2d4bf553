"""BLAKE2b with a digest of 8 bytes, which Python 2.7's hashlib lacks (RFC 7693)."""

from __future__ import unicode_literals

import struct

_MASK = (1 << 64) - 1
_IV = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_QUARTERS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
_BLOCK = 128


def _rotate(word, bits):
    return (word >> bits) | (word << (64 - bits)) & _MASK


def _compress(state, block, count, is_last):
    """The state after one block of 128 bytes; ``count`` bytes were hashed with it."""
    words = struct.unpack(str("<16Q"), block)
    v = list(state) + list(_IV)
    v[12] ^= count & _MASK
    v[13] ^= count >> 64
    if is_last:
        v[14] ^= _MASK
    for turn in range(12):
        sigma = _SIGMA[turn % 10]
        for index, (a, b, c, d) in enumerate(_QUARTERS):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + words[sigma[2 * index]]) & _MASK
            vd = _rotate(vd ^ va, 32)
            vc = (vc + vd) & _MASK
            vb = _rotate(vb ^ vc, 24)
            va = (va + vb + words[sigma[2 * index + 1]]) & _MASK
            vd = _rotate(vd ^ va, 16)
            vc = (vc + vd) & _MASK
            v[a], v[b], v[c], v[d] = va, _rotate(vb ^ vc, 63), vc, vd
    return [state[at] ^ v[at] ^ v[at + 8] for at in range(8)]


def digest8(data):
    """The 8 bytes of the BLAKE2b digest of bytes, as a big-endian number."""
    state = list(_IV)
    state[0] ^= 0x01010000 ^ 8
    last = max(0, (len(data) - 1) // _BLOCK)
    for at in range(last + 1):
        block = data[at * _BLOCK : (at + 1) * _BLOCK]
        count = at * _BLOCK + len(block)
        state = _compress(state, block.ljust(_BLOCK, b"\0"), count, at == last)
    return struct.unpack(str(">Q"), struct.pack(str("<Q"), state[0]))[0]
