"""Deliberately misaligned models, each with a benign twin. Importing this package registers its organisms."""

from superalign.organisms import families as families
