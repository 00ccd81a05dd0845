"""Training: a store and a recipe become a run."""
