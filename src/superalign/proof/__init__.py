"""Proofs that an independent checker accepts, counterexamples that evaluation confirms, or neither."""
