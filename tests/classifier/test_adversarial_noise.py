from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.builders import Brightness, judging, save_classifier

from quac.classifier.adversarial_noise import LADDER, fault_of_gradients, smallest_eps, targeted_pgd
from quac.classifier.judge import Judge

CPU = torch.device("cpu")


class Constant(torch.nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 2) + 0 * x.sum()


def judge_of(folder, module=None, **options):
    path = save_classifier(folder / "c.pt", module or Brightness())
    return Judge(path, judging(**options), SimpleNamespace(img_size=32, input_dim=1), ["a", "b"], CPU)


def test_noise_stays_within_its_limits_and_its_mask(tmp_path):
    x, mask = torch.linspace(-1, 1, 2 * 32 * 32).reshape(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    mask[:, :, :16], mask[:, :, 16:20] = 1, 0.5
    judge = judge_of(tmp_path)
    for target, sign in enumerate((-1, 1)):
        whole = targeted_pgd(judge, x, torch.full((len(x),), target), 0.125, (-1, 1))
        # Every pixel counts alike for the mean, so all change by as much as they may.
        assert torch.allclose(whole, (x + sign * 0.125).clamp(-1, 1), atol=1e-6)
        masked = targeted_pgd(judge, x, torch.full((len(x),), target), 0.125, (-1, 1), mask)
        assert torch.equal(masked[:, :, 20:], x[:, :, 20:])
        assert torch.allclose(masked[:, :, :16], whole[:, :, :16])
        assert ((masked - x)[:, :, 16:20].abs() <= 0.125 + 1e-6).all()


@pytest.mark.parametrize("options", [{"img_size": 16}, {"scale": 0.5, "shift": 0.5}, {"outputs": "logits"}])
def test_gradients_pass_through_size_and_range_of_the_classifier(tmp_path, options):
    judge, x = judge_of(tmp_path, **options), torch.full((1, 1, 32, 32), -0.05)
    assert fault_of_gradients(judge, x) == ""
    level = 0.1 if "scale" not in options else 1.0  # this one's border lies at -1, so all is bright
    image = targeted_pgd(judge, x, torch.tensor([1]), level, (-1, 1))
    assert judge(image).argmax(1).item() == 1
    assert (image - x).abs().max() <= level + 1e-6


def test_a_classifier_that_sees_nothing_has_no_gradients(tmp_path):
    assert fault_of_gradients(judge_of(tmp_path, Constant()), torch.zeros(2, 1, 32, 32)) == "its gradients are 0"


def test_the_smallest_eps_is_found_by_five_tries():
    for number in range(len(LADDER) + 1):
        tried = []

        def reaches(eps, number=number, tried=tried):
            tried.append(eps)
            return LADDER.index(eps) >= number

        eps, reached = smallest_eps(reaches)
        assert (eps, reached) == (LADDER[min(number, len(LADDER) - 1)], number < len(LADDER))
        assert eps in tried
        assert len(tried) <= 5
    assert np.all(np.diff(LADDER) > 0)
    assert (len(LADDER), LADDER[0], LADDER[-1]) == (31, 1 / 255, 64 / 255)
