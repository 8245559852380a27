"""What makes a run hard to fake: digests, a tamper-evident ledger, commitments."""
