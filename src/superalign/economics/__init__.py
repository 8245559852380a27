"""How much research labour an amount of compute is, with its uncertainty."""
