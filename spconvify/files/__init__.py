"""Opened without blocking, written completely or not at all, and never over what is somebody's."""
