"""Automated search for problematic behaviour. Importing this package registers its detectors."""

from superalign.robustness import consistency as consistency
from superalign.robustness import token_search as token_search
