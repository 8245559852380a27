"""Hidden channels between copies of a model: how many bits an answer carries, and what takes them away."""
