"""Cells: folders of images become a manifest, the manifest a store, the store batches."""
