"""Studies: a question becomes several runs, and they a table."""
