"""Models: load, respond, read, train. The only package that touches weights."""
