"""Show what makes the difference between classes of images (see README.md)."""

__version__ = "0.1.0"


def __getattr__(name):
    if name == "ConversionNetwork":  # on demand: it imports torch
        from quac.conversion.network import ConversionNetwork

        return ConversionNetwork
    if name == "Explanations":
        from quac.explanation.explanations import Explanations

        return Explanations
    raise AttributeError(f"module {__name__} has no attribute {name}")
