"""Automated search for problematic internals. Importing this package registers its detectors."""

from superalign.interpretability import advice as advice
from superalign.interpretability import anomaly as anomaly
from superalign.interpretability import feature_shift as feature_shift
from superalign.interpretability import knowledge as knowledge
from superalign.interpretability import knowledge_in_contexts as knowledge_in_contexts
from superalign.interpretability import weights as weights
