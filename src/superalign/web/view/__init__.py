"""`superalign view`: runs and the review queue in a browser."""
