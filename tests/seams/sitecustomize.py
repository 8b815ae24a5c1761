"""Adds the toys to their registries in every process of the workflow: Python imports this module when it starts."""

import importlib
import sys

for toy in ("toy_stage", "toy_metric", "toy_loss", "toy_converter"):
    importlib.import_module(toy)
if "report" in sys.orig_argv:
    importlib.import_module("toy_section")
