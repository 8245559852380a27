"""Assertions in SMT-LIB 2: models by evaluation, contradictions by Farkas' lemma and a DRAT proof."""
