"""Counts how often answers about random SMT-LIB assertions are wrong, whose truth is counted out; prints one JSON row.

python scripts/smt_soundness.py --problems 3000 --seed 0
"""

from __future__ import annotations

import argparse
import sys

from superalign.proof.smt.soundness import sweep


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = sweep(asked.problems, asked.seed)
    print(found.model_dump_json(indent=2))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
