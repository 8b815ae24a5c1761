import pytest
import torch
from helpers.workflow import Workflow


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny networks are fastest on one thread, results depend on the number, and one thread waits for no other."""
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Of several test processes, one makes what the tests of a group share, such as the finished workflow."""
    for item in items:
        shared = "finished" if "finished" in item.fixturenames else item.nodeid.split("::")[0]
        if "finished" in item.fixturenames or "/workflow/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group(shared))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The whole workflow, run once on tiny images. Tests leave it as they found it."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    # Wide enough for checkpoints over 1 MB, from which on Snakemake compares times instead of contents by default.
    workflow.edit("model", hidden_dim=256)
    workflow.run()
    return workflow
