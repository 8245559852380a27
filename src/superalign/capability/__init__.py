"""What an agent can do, and is inclined to do, in small and harmless environments, beside agents of known strength."""
