"""Evaluation: a run becomes numbers about one split."""
