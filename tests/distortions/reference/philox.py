"""Philox-4x64-10 as published, for checking NumPy's."""

MASK64 = 2**64 - 1


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox-4x64-10 (Salmon et al. 2011, section 3.3 and table 2), in whole numbers of any size."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(second >> 64) ^ c[1] ^ k[0], second & MASK64, (first >> 64) ^ c[3] ^ k[1], first & MASK64]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK64, (k[1] + 0xBB67AE8584CAA73B) & MASK64]
    return tuple(c)
