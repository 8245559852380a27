"""Turning a weaker judge into a training signal. Importing this package registers its overseers."""

from superalign.oversight import few_labels as few_labels
