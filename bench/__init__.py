"""Benches: the project's speed targets, measured against others on the same work."""
