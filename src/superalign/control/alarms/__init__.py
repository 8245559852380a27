"""Alarms: what scores an action or a whole transcript, and transcripts to learn from."""
