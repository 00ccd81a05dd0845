"""Serving: a bundle in the lab's browser."""
