"""A kind of conversion network: it inverts its queries, whatever the class, and has one style kind."""

from typing import Literal

from quac.config import Config
from quac.config.choices import STYLE_KINDS_OF_MODELS
from quac.config.training import Model
from quac.models import MODELS

Model.model_fields["kind"].annotation = Literal["starganv2", "inverter"]
Model.model_rebuild(force=True)
Config.model_rebuild(force=True)


def inverter():
    from quac.models.starganv2.converter import StarGANv2Converter

    class Inverter(StarGANv2Converter):
        style_kinds = STYLE_KINDS_OF_MODELS["inverter"]

        def prepare(self, x):
            return x

        def render(self, prepared, style, target):
            return -prepared

    return Inverter


STYLE_KINDS_OF_MODELS["inverter"] = ("latent",)
MODELS["inverter"] = inverter
