"""For tests, ours and third parties': a tiny model that needs no download, and the conformance suite for parts."""
