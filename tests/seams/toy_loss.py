"""A term of the generator's loss: its weight in the config, and what it is."""

import sys

from quac.config import Config, training
from quac.config.section import Weight, key
from quac.config.training import Loss


class LossWithToy(Loss):
    TERMS = (*Loss.TERMS, "toy")
    lambda_toy: Weight = key(0.0, "Pulls generated images towards mid-grey.")


Config.model_fields["loss"].annotation = LossWithToy
Config.model_fields["loss"].default = LossWithToy()
Config.model_rebuild(force=True)
training.Loss = LossWithToy

if "train" in sys.orig_argv:
    from quac.models.starganv2.step import GENERATOR_TERMS

    GENERATOR_TERMS["toy"] = lambda images: images.fake.abs().mean()
