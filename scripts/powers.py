"""Writes the powers of ten that base/shortest.c multiplies by, as a C table: powers.py OUTPUT.h

Of 10^k the 128 leading bits, rounded up where more are set.
"""

import sys
from pathlib import Path

LEAST, GREATEST = -292, 324


def leading_bits(k):
    if k >= 0:
        power = 10**k
        shift = power.bit_length() - 128
        return power << -shift if shift <= 0 else -(-power >> shift)
    shift = (10**-k).bit_length() + 127
    return -(-(1 << shift) // 10**-k)


def main():
    rows = []
    for k in range(LEAST, GREATEST + 1):
        bits = leading_bits(k)
        assert bits.bit_length() == 128, k
        rows.append(f"    {{UINT64_C(0x{bits >> 64:016X}), UINT64_C(0x{bits & (1 << 64) - 1:016X})}}, // 1e{k}\n")
    output = Path(sys.argv[1])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"// Written by scripts/powers.py.\n#define POWERS_LEAST ({LEAST})\n"
                      "static const struct power {\n    uint64_t high, low;\n} powers[] = {\n" + "".join(rows) + "};\n")


main()
