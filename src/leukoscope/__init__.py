"""leukoscope: tells leukemia blasts from normal cells in single-cell microscope images.

Research use only; not a medical device.
"""

__version__ = "0.1.0"
