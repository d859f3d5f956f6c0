"""Architectures by name, and which one a state dict belongs to."""
