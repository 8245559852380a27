"""Counts how often the proof engine is wrong on random formulas whose truth is counted out, and prints one JSON row.

python scripts/proof_soundness.py --formulas 10000 --seed 0
"""

from __future__ import annotations

import argparse
import sys

from superalign.proof.soundness import sweep


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formulas", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = sweep(asked.formulas, asked.seed)
    print(found.model_dump_json(indent=2))
    return 1 if found.wrong or found.disagreements or found.spoilt_accepted else 0


if __name__ == "__main__":
    sys.exit(main())
