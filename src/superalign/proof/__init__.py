"""A proof engine: solvers propose, small kernels decide, and an answer that no kernel accepted is unknown."""
