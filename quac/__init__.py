"""Show what makes the difference between classes of images (see README.md)."""

__version__ = "0.1.0"
