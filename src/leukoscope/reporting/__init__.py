"""Reporting: numbers become what people look at."""
