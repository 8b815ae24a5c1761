"""Kinds of conversion networks are opened by the registry."""

from types import SimpleNamespace

import pytest
import torch
from helpers.builders import ours

from quac.models import MODELS, open_converter
from quac.models.starganv2.converter import StarGANv2Converter
from quac.system.errors import QuacError

CPU = torch.device("cpu")


def test_a_checkpoint_is_opened_by_the_kind_that_it_names(tmp_path, monkeypatch):
    toy = SimpleNamespace(style_kinds=("direct",))
    monkeypatch.setitem(MODELS, "toy", lambda: SimpleNamespace(open=lambda path, device: toy))
    torch.save({"quac": {"model": {"kind": "toy"}}}, tmp_path / "toy.ckpt")
    assert open_converter(tmp_path / "toy.ckpt", CPU) is toy
    converter = open_converter(ours(tmp_path / "x.ckpt", classes=("a", "b")), CPU)
    assert isinstance(converter, StarGANv2Converter)
    assert (converter.classes, converter.style_kinds) == (["a", "b"], ("latent", "reference"))


def test_what_is_not_a_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.ckpt").write_text("no checkpoint")
    with pytest.raises(QuacError, match=r"x\.ckpt: cannot be read as a checkpoint"):
        open_converter(tmp_path / "x.ckpt", CPU)
