"""Inference: a run becomes a bundle, and a bundle makes calls on new cells."""
