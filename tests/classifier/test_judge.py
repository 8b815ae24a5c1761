import zipfile

import numpy as np
import pytest
import torch
from helpers.builders import Brightness, judging, save_classifier
from torch import nn

from quac.classifier.judge import Judge, open_oracles
from quac.config.training import Model
from quac.system.errors import QuacError

CPU = torch.device("cpu")


def load(path, classes=("dark", "bright"), channels=1, device=CPU, order=None, **options):
    return Judge(path, judging(classes=order, **options), Model(img_size=32, input_dim=channels), list(classes), device)


def export(path, module, channels=1, size=32, dynamic=True):
    """Save as `torch.export` does."""
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(module.eval(), (torch.zeros(3, channels, size, size),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


class Fixed(nn.Module):
    """Says of every image what it was made to say."""

    def __init__(self, outputs: list[float]):
        super().__init__()
        self.outputs = nn.Parameter(torch.tensor(outputs))

    def forward(self, x):
        return self.outputs.expand(len(x), -1)


def test_logits_become_probabilities_and_probabilities_stay(tmp_path):
    images = torch.zeros(3, 1, 32, 32)
    judge = load(save_classifier(tmp_path / "logits.pt", Fixed([0.0, 2.0])))
    torch.testing.assert_close(judge(images), torch.tensor([0.0, 2.0]).softmax(0).expand(3, 2))
    judge = load(save_classifier(tmp_path / "probabilities.pt", Fixed([0.25, 0.75])))
    assert judge.gives_probabilities
    torch.testing.assert_close(judge(images), torch.tensor([[0.25, 0.75]]).expand(3, 2))


def test_the_type_of_the_outputs_may_be_configured(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Fixed([0.25, 0.75]))
    judge = load(path, outputs="logits")
    torch.testing.assert_close(judge(torch.zeros(1, 1, 32, 32))[0], torch.tensor([0.25, 0.75]).softmax(0))
    path = save_classifier(tmp_path / "d.pt", Fixed([0.5, 1.5]))  # unnormalised
    torch.testing.assert_close(
        load(path, outputs="probabilities")(torch.zeros(1, 1, 32, 32))[0], torch.tensor([0.25, 0.75])
    )


def test_the_classifier_gets_its_own_range(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    image = torch.full((1, 1, 32, 32), 0.5)
    for scale, shift in ((1.0, 0.0), (0.5, 0.5), (-1.0, 0.0)):
        level = 0.5 * scale + shift
        expected = torch.tensor([[-level, level]]).softmax(1)
        torch.testing.assert_close(load(path, scale=scale, shift=shift)(image), expected)


class Channels(nn.Module):
    """Its logits are the means of red and blue; takes colour only."""

    def forward(self, x):
        means = x.reshape(x.shape[0], 3, -1).mean(2)
        return means[:, ::2]


def test_a_range_for_each_channel(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Channels())
    judge = load(path, channels=3, scale=[1.0, 2.0, 4.0], shift=[0.5, 0.0, -0.5])
    logits = judge.logits(torch.full((1, 3, 32, 32), 0.5))
    torch.testing.assert_close(logits, torch.tensor([[1.0, 1.5]]))
    with pytest.raises(QuacError, match=r"scale or shift has 2 numbers for 3 channel"):
        load(path, channels=3, scale=[1.0, 2.0])


def test_grey_images_are_shown_to_a_classifier_of_colour_and_vice_versa(tmp_path):
    judge = load(save_classifier(tmp_path / "c.pt", Channels()))
    assert judge.channels == 3
    torch.testing.assert_close(judge.logits(torch.full((2, 1, 32, 32), 0.5)), torch.full((2, 2), 0.5))
    grey = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    judge = load(save_classifier(tmp_path / "d.pt", grey), channels=3)
    image = torch.tensor([0.1, 0.2, 0.3])[None, :, None, None].expand(1, 3, 32, 32)
    luma = torch.full((1, 1, 32, 32), 0.299 * 0.1 + 0.587 * 0.2 + 0.114 * 0.3)
    torch.testing.assert_close(judge.logits(image), grey(luma))


class Side(nn.Module):
    """Accepts 16 x 16 only."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(256, 2)

    def forward(self, x):
        return self.linear(x.flatten(1))


def test_the_classifier_gets_its_own_size(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Side())
    assert load(path, img_size=16)(torch.zeros(3, 1, 32, 32)).shape == (3, 2)
    with pytest.raises(QuacError, match=r"does not accept images of 1 x 32 x 32 .*set validation_config\.img_size"):
        load(path)


def test_an_exported_classifier_is_the_scripted_one(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    images = torch.rand(5, 1, 32, 32, requires_grad=True)
    scripted = load(save_classifier(tmp_path / "c.pt", module))(images)
    exported = load(export(tmp_path / "named as it may be", module))(images)
    torch.testing.assert_close(exported, scripted)
    exported[:, 0].sum().backward()
    assert images.grad.abs().sum() > 0


@pytest.mark.gpu
def test_a_classifier_exported_on_a_gpu_is_read_on_a_cpu_and_vice_versa(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    path = export(tmp_path / "cpu.pt2", module)
    gpu = torch.device("cuda")
    assert load(path, device=gpu)(torch.zeros(2, 1, 32, 32, device=gpu)).device.type == "cuda"
    program = torch.export.export(module.cuda().eval(), (torch.zeros(3, 1, 32, 32, device=gpu),))
    torch.export.save(program, tmp_path / "gpu.pt2")
    with pytest.raises(QuacError, match="batches of any size"):
        load(tmp_path / "gpu.pt2")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there it is read")
def test_a_classifier_exported_on_a_gpu_is_refused_without_one(tmp_path):
    """(Written without one: as if on a GPU, by the names of the devices in the file.)"""
    path = export(tmp_path / "c.pt2", nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "gpu.pt2", "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(name, content.replace(b'"cpu"', b'"cuda"') if name.endswith(".json") else content)
    with pytest.raises(QuacError, match=r"was exported on a GPU, but this machine has none; export it with the model"):
        load(tmp_path / "gpu.pt2")


def test_an_exported_classifier_for_one_batch_size_is_named(tmp_path):
    path = export(tmp_path / "c.pt2", nn.Sequential(nn.Flatten(), nn.Linear(1024, 2)), dynamic=False)
    with pytest.raises(QuacError, match=r"does not accept images of 1 x 32 x 32 .*export it for batches of any size"):
        load(path)


def test_another_order_of_the_classes(tmp_path):
    judge = load(save_classifier(tmp_path / "c.pt", Fixed([0.0, 1.0, 2.0])), "abc", order=["c", "a", "b"])
    torch.testing.assert_close(judge.logits(torch.zeros(1, 1, 32, 32)), torch.tensor([[1.0, 2.0, 0.0]]))
    with pytest.raises(QuacError, match=r"classes is c, a, but the data has a, b, c"):
        load(tmp_path / "c.pt", "abc", order=["c", "a"])


def test_another_number_of_classes_is_named(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Fixed([0.0, 1.0, 2.0]))
    with pytest.raises(QuacError, match=r"2 classes \(dark, bright\): expected \(4, 2\)"):
        load(path)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_outputs_that_are_not_a_tensor_are_named(tmp_path):
    with pytest.raises(QuacError, match=r"returns a tuple instead of a tensor \(images, classes\)"):
        load(save_classifier(tmp_path / "c.pt", Pair()))


def test_another_precision_is_named(tmp_path):
    path = save_classifier(tmp_path / "c.pt", nn.Sequential(nn.Flatten(), nn.Linear(1024, 2)).double())
    with pytest.raises(QuacError, match="save it in float32"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"no classifier", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_not_a_classifier_is_named(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(QuacError, match=r"c\.pt: cannot be loaded as TorchScript or as an exported program"):
        load(tmp_path / "c.pt")


def test_a_state_dict_is_refused(tmp_path):
    torch.save(Side().state_dict(), tmp_path / "c.pt")
    with pytest.raises(
        QuacError, match=r"c\.pt: holds only weights \(a state_dict\).* save that with torch\.jit\.script"
    ):
        load(tmp_path / "c.pt")


def test_a_truncated_exported_program_is_named(tmp_path):
    path = export(tmp_path / "c.pt2", Brightness())
    path.write_bytes(path.read_bytes().replace(b'"graph_module"', b'"graph_mo____"'))
    with pytest.raises(QuacError, match=r"c\.pt2: cannot be loaded"):
        load(path)


def test_gradients_flow_only_to_the_images(tmp_path):
    """For the classifier loss."""
    judge = load(save_classifier(tmp_path / "c.pt", Side()), img_size=16)
    images = torch.rand(3, 1, 32, 32, requires_grad=True)
    judge(images)[:, 1].log().mean().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.module.parameters())


def test_gradients_flow_through_ranges_per_channel_and_grey_conversion(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Channels())
    judge = load(path, channels=3, scale=[1.0, 2.0, 4.0], shift=[0.5, 0.0, -0.5])
    with torch.inference_mode():
        judge(torch.rand(2, 3, 32, 32))
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    judge.logits(image).sum().backward()
    torch.testing.assert_close(image.grad.sum((2, 3)), torch.tensor([[1.0, 0.0, 4.0]]))
    grey = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    judge = load(save_classifier(tmp_path / "d.pt", grey), channels=3)
    image.grad = None
    judge.logits(image).sum().backward()
    luma = torch.tensor([[0.299, 0.587, 0.114]]) * grey[2].weight.sum()
    torch.testing.assert_close(image.grad.sum((2, 3)), luma)


def test_the_judge_does_not_change_its_input(tmp_path):
    image = torch.rand(2, 1, 32, 32)
    before = image.clone()
    load(save_classifier(tmp_path / "c.pt", Brightness()), scale=3.0)(image)
    np.testing.assert_array_equal(image, before)


def test_a_range_per_channel_determines_the_number_of_channels(tmp_path):
    """As the check advises for grey images and a classifier that was trained on ImageNet."""
    both = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1), nn.LazyLinear(2))
    both(torch.zeros(1, 3, 32, 32))
    judge = load(save_classifier(tmp_path / "c.pt", both), scale=[1.0, 2.0, 3.0], shift=[0.0, 0.0, 1.0])
    assert judge.channels == 3


class Strict(nn.Module):
    def forward(self, x):
        assert x.shape[1] == 3, "colour, please"
        return x.mean(dim=(2, 3))[:, :2]


def test_a_model_that_rejects_grey_images_gets_colour(tmp_path):
    assert load(save_classifier(tmp_path / "c.pt", Strict())).channels == 3


def test_oracles_are_opened_by_name(tmp_path):
    paths = [save_classifier(tmp_path / f"{n}.pt", Fixed([float(n), 0.0])) for n in (1, 2)]
    sections = {"zeta": judging(scale=2.0), "alpha": judging(scale=1.0)}
    oracles = open_oracles(sections, paths, Model(img_size=32, input_dim=1), ["a", "b"], CPU)
    assert {name: (judge.path.name, judge.judging.scale) for name, judge in oracles.items()} == {
        "alpha": ("1.pt", 1.0),
        "zeta": ("2.pt", 2.0),
    }
    with pytest.raises(QuacError, match=r"name another classifier in oracles\.alpha$"):
        open_oracles(sections, paths, Model(img_size=32, input_dim=1), ["a", "b", "c"], CPU)


def test_the_oracle_of_the_workflow_gets_the_images_as_they_are(tmp_path):
    path, model = save_classifier(tmp_path / "c.pt", Fixed([1.0, 0.0])), Model(img_size=64, input_dim=1)
    ((name, oracle),) = open_oracles("auto", [path], model, ["a", "b"], CPU).items()
    assert (name, oracle.judging.scale, oracle.judging.shift, oracle.judging.img_size) == ("oracle", 1, 0, 64)
    assert open_oracles("none", [], model, ["a", "b"], CPU) == {}


def test_logits_are_finite_for_a_probability_of_0(tmp_path):
    judge = load(save_classifier(tmp_path / "c.pt", Fixed([0.0, float("-inf")])))
    assert judge.logits(torch.zeros(1, 1, 32, 32)).isfinite().all()
    assert judge(torch.zeros(1, 1, 32, 32)).tolist() == [[1.0, 0.0]]
