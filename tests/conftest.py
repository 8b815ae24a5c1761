import pytest
import torch
from helpers.builders import Workflow


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny networks are fastest on one thread, and results depend on the number."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The whole workflow, run once on tiny images. Tests leave it as they found it."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    # Wide enough for checkpoints over 1 MB, from which on Snakemake compares times instead of contents by default.
    workflow.edit("model", hidden_dim=256)
    workflow.run()
    return workflow
