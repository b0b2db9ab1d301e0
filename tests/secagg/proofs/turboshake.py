"""TurboSHAKE128 (RFC 9861), word for word: what the draft's test vectors are drawn from. For tests only: it is slow."""

from __future__ import annotations

WORD = (1 << 64) - 1
RATE = 168


def _constants() -> list[int]:
    """Round constants of Keccak-p, from its linear-feedback shift register."""
    state, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            if state & 1:
                constant |= 1 << ((1 << j) - 1)
            state <<= 1
            if state & 0x100:
                state ^= 0x171
        constants.append(constant)
    return constants


def _rotate(word: int, by: int) -> int:
    by %= 64
    return (word << by | word >> (64 - by)) & WORD


def keccak_p(lanes: list[list[int]], rounds: int) -> list[list[int]]:
    """The last rounds of Keccak-f[1600] on lanes[x][y]."""
    for constant in _constants()[24 - rounds :]:
        parity = [lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4] for x in range(5)]
        theta = [parity[x - 1] ^ _rotate(parity[(x + 1) % 5], 1) for x in range(5)]
        lanes = [[lanes[x][y] ^ theta[x] for y in range(5)] for x in range(5)]
        x, y, moving = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            moving, lanes[x][y] = lanes[x][y], _rotate(moving, (step + 1) * (step + 2) // 2)
        lanes = [[lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        lanes[0][0] ^= constant
    return lanes


def sponge(message: bytes, domain: int, length: int, rounds: int, rate: int) -> bytes:
    padded = bytearray(message + bytes([domain]))
    padded += bytes(-len(padded) % rate)
    padded[-1] ^= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for lane in range(rate // 8):
            word = int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
            lanes[lane % 5][lane // 5] ^= word
        lanes = keccak_p(lanes, rounds)
    out = b""
    while len(out) < length:
        out += b"".join(lanes[lane % 5][lane // 5].to_bytes(8, "little") for lane in range(rate // 8))
        lanes = keccak_p(lanes, rounds)
    return out[:length]


def turboshake128(message: bytes, domain: int, length: int) -> bytes:
    return sponge(message, domain, length, rounds=12, rate=RATE)
