"""A captured step: the same updates, or none that is captured."""

import copy
import logging

import pytest
import torch
from helpers.builders import judging, random_batch, save_classifier, tiny_config, training_step
from helpers.recorded_operations import OperationGraphs
from torch import nn

from quac.classifier.judge import Judge
from quac.system.device import computing_in
from quac.training.compile import compile_step
from quac.training.cuda_graphs import WARM_UP, CapturedUpdate, CudaGraphs

FORMS = {
    "paper": {},
    "merged": {"solver": {"schedule": "merged"}},
    "changing weights": {
        "loss": {"lambda_ds": 1.0, "ds_iter": 12, "ramps": {"reg": {"start": 1, "end_step": 9, "end": 3}}}
    },
    "lazy penalty": {"loss": {"r1_every": 2}, "solver": {"beta1": 0.5}},
    "terms that begin": {"loss": {"lambda_cyc": 0.0, "ramps": {"id": {"start_step": 5, "end_step": 20, "end": 1}}}},
    "in parts": {"accumulate": 3},
    "frozen": {"freeze": True},
}


def step_on(device="cpu", **options):
    # On a GPU small, since rounding decides which way Adam goes where a gradient is nearly zero.
    lr = 1e-3 if str(device) == "cpu" else 1e-4
    return training_step(lr=lr, layout=torch.channels_last, device=device, **options)


def weights_of(step):
    modules = [*step.networks.values(), *step.averages.values()]
    return torch.cat([p.detach().flatten() for module in modules for p in module.parameters()])


def train(step, steps, device="cpu"):
    """Terms of every step, as they are when all have been done."""
    batches = [type(b)(*(value.to(device) for value in vars(b).values())) for b in map(random_batch, range(steps))]
    terms = [step(batch, number) for number, batch in enumerate(batches)]
    return [{name: value.item() for name, value in of_step.items()} for of_step in terms]


@pytest.mark.parametrize("form", FORMS)
def test_a_captured_step_is_the_step_bit_for_bit(form, caplog):
    plain, captured = (step_on(**FORMS[form]) for _ in range(2))
    captured.captured = CapturedUpdate(captured, "fp32", OperationGraphs())
    with caplog.at_level(logging.INFO):
        assert train(captured, 12) == train(plain, 12)
    assert torch.equal(weights_of(captured), weights_of(plain))
    for name, optimizer in plain.optimizers.items():
        torch.testing.assert_close(captured.optimizers[name].state_dict(), optimizer.state_dict(), rtol=0, atol=0)
    sets = 2 if form in ("lazy penalty", "terms that begin") else 1
    assert caplog.text.count("captured as a CUDA graph; the gradients differ by 0 of") == sets
    assert captured.captured.capturing.ran == sets * (WARM_UP + 1)  # all other steps came from graphs
    assert len(captured.captured.graphs) == (2 if form == "lazy penalty" else 1)  # of others the memory is free


def judge_of(folder, device="cpu"):
    """A real one, of networks' images, with numbers for each of its channels."""
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    torch.manual_seed(0)
    path, settings = save_classifier(folder / "c.pt", layers), judging(scale=[0.5, 1.0, 1.5], shift=[0.0, 0.5, 1.0])
    return Judge(path, settings, tiny_config().model, ["a", "b", "c"], torch.device(device))


def test_a_step_with_a_classifier_can_be_captured(tmp_path, caplog):
    options = {"judge": judge_of(tmp_path), "loss": {"lambda_cls": 1.0}}
    plain, captured = step_on(**options), step_on(**options)
    captured.captured = CapturedUpdate(captured, "fp32", OperationGraphs())
    with caplog.at_level(logging.INFO):
        assert train(captured, 8) == train(plain, 8)
    assert "captured as a CUDA graph" in caplog.text


class Forgetful(OperationGraphs):
    """Captures what runs again, but on what it saw first."""

    def capture(self, function, batch, weights):
        return super().capture(function, copy.deepcopy(batch), weights)


class Idle(OperationGraphs):
    """Captures nothing, and does not notice."""

    def capture(self, function, batch, weights):
        return lambda: None, super().capture(function, batch, weights)[1]


class Refusing(OperationGraphs):
    def capture(self, function, batch, weights):
        super().capture(function, batch, weights)
        raise RuntimeError("CUDA error: operation failed\nbecause of something")


def asking_judge(images):
    """A classifier that looks at its numbers, for which the CPU would wait."""
    return (images.mean((1, 2, 3))[:, None] * torch.arange(3) * images.amax().item()).softmax(1)


@pytest.mark.parametrize(
    ("graphs", "options", "said"),
    [
        (Forgetful, {}, "the gradients differ by"),
        (Idle, {}, "the gradients differ by"),
        (Idle, {"solver": {"beta1": 0.9}}, "the gradients differ by"),
        (Refusing, {}, "CUDA error: operation failed because of something"),
        (OperationGraphs, {"judge": asking_judge, "loss": {"lambda_cls": 1.0}}, "not permitted when stream"),
    ],
)
def test_what_cannot_be_captured_or_not_truly_is_left_alone_and_said(graphs, options, said, caplog):
    plain, captured = step_on(**options), step_on(**options)
    captured.captured = CapturedUpdate(captured, "fp32", graphs())
    with caplog.at_level(logging.WARNING):
        assert train(captured, 8) == train(plain, 8)
    assert torch.equal(weights_of(captured), weights_of(plain))
    assert caplog.text.count("goes on without") == 1
    assert said in caplog.text
    assert not any(group["capturable"] for o in captured.optimizers.values() for group in o.param_groups)


def test_a_state_that_was_saved_goes_on_the_same(caplog):
    """Optimisers that are loaded hold other tensors, before anything is captured."""
    plain, captured = step_on(), step_on()
    train(plain, 3)
    captured.networks.load_state_dict(plain.networks.state_dict())
    captured.averages.load_state_dict(plain.averages.state_dict())
    for name, optimizer in captured.optimizers.items():
        optimizer.load_state_dict(copy.deepcopy(plain.optimizers[name].state_dict()))
    captured.captured = CapturedUpdate(captured, "fp32", OperationGraphs())
    assert train(captured, 8) == train(plain, 8)
    assert torch.equal(weights_of(captured), weights_of(plain))


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("form", "precision", "compiled"),
    [
        *((form, "fp32", False) for form in FORMS),
        ("paper", "bf16", False),
        ("merged", "bf16", False),
        ("paper", "bf16", True),
        ("merged", "fp32", True),
        ("lazy penalty", "bf16", True),
    ],
)
def test_a_step_captured_on_a_gpu_is_the_step(form, precision, compiled, caplog):
    device, tolerance = torch.device("cuda"), {"fp32": 1e-2, "bf16": 0.2}[precision]
    options = {"device": device, "autocast": computing_in(precision, device), **FORMS[form]}
    plain, captured = step_on(**options), step_on(**options)
    with caplog.at_level(logging.INFO):
        if compiled:
            torch._dynamo.reset()
            b = random_batch(0)
            compile_step(captured, type(b)(*(value.to(device) for value in vars(b).values())), 0, precision)
        captured.captured = CapturedUpdate(captured, precision)
        terms = [train(step, 10, device) for step in (captured, plain)]
    assert "captured as a CUDA graph" in caplog.text
    assert "goes on without" not in caplog.text
    for one, other in zip(*terms, strict=True):
        assert one == pytest.approx(other, rel=tolerance, abs=tolerance)


@pytest.mark.gpu
def test_a_step_with_a_classifier_is_captured_on_a_gpu(tmp_path, caplog):
    judge = judge_of(tmp_path, "cuda")
    step = step_on(judge=judge, loss={"lambda_cls": 1.0}, device=torch.device("cuda"))
    step.captured = CapturedUpdate(step, "fp32")
    with caplog.at_level(logging.INFO):
        train(step, 8, "cuda")
    assert "captured as a CUDA graph" in caplog.text


@pytest.mark.gpu
def test_a_gpu_goes_on_after_a_capture_that_fails(caplog):
    device = torch.device("cuda")
    step = step_on(device)
    update = step.update

    def asking(batch, weights):
        metrics = update(batch, weights)
        metrics["G/latent_adv"].item()
        return metrics

    step.update = asking
    step.captured = CapturedUpdate(step, "fp32", CudaGraphs())
    terms = train(step, 8, device)
    assert caplog.text.count("goes on without") == 1
    assert terms == [pytest.approx(of_step, rel=1e-2, abs=1e-2) for of_step in train(step_on(device), 8, device)]
