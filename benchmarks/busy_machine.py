"""A training step of the demo while other programs keep cores busy: `make bench-busy`.

The sides are ways to wait and numbers of threads; each runs in a process of its own, since libgomp reads its settings
when it is loaded. In turns, with the first side twice (A/A). Two cores and more.
"""

import argparse
import copy
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

SIDES = {
    "libgomp's defaults": {"GOMP_SPINCOUNT": None},
    "libgomp's defaults again (A/A)": {"GOMP_SPINCOUNT": None},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"GOMP_SPINCOUNT": None, "OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"THREADS": "1"},
    "quac: spin count, and threads that follow the load": {"FOLLOW": "1"},
}


def measure(seconds: float) -> None:
    """Print the median time of a step, as the training does it, with the settings of the environment."""
    from quac.system.threads import LoadFollower, default_threads, limit_spinning

    if os.environ.get("FOLLOW"):
        limit_spinning()
    import torch
    import yaml

    from quac.config.resolve import resolve
    from quac.data.batches import TrainingBatch
    from quac.models.starganv2.networks import build_networks
    from quac.models.starganv2.step import TrainingStep, build_optimizers

    follower = LoadFollower(int(os.environ.get("THREADS", default_threads())))
    torch.set_num_threads(follower.most)
    config = resolve(yaml.safe_load((Path(__file__).parents[1] / "config/config.yaml").read_text()))
    torch.manual_seed(0)
    networks = build_networks(config.model, 3).to(memory_format=torch.channels_last)
    averages, optimizers = copy.deepcopy(networks), build_optimizers(networks, config.solver)
    step = TrainingStep(networks, averages, optimizers, config.loss, config.solver)
    images = [torch.rand(16, 1, 32, 32).to(memory_format=torch.channels_last) * 2 - 1 for _ in range(3)]
    labels, latents = torch.randint(3, (2, 16)), torch.randn(2, 16, config.model.latent_dim)
    batch = TrainingBatch(images[0], labels[0], images[1], images[2], labels[1], *latents)
    times = []
    warm_up = time.monotonic() + 8  # the load is checked every 5 seconds
    end = warm_up + seconds
    while time.monotonic() < end or len(times) < 3:
        if os.environ.get("FOLLOW"):
            torch.set_num_threads(follower.update())
        start = time.perf_counter()
        step(batch, len(times))
        if time.monotonic() > warm_up:
            times.append(time.perf_counter() - start)
    print(median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="Of measurement in each process.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.seconds)
    from measure import machine, table

    found = {(side, busy): [] for side in SIDES for busy in (0, 1, 2)}
    for _ in range(options.rounds):
        for busy in (0, 1, 2):
            for side, settings in SIDES.items():
                environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
                environment = {**environment, **settings}
                environment = {name: value for name, value in environment.items() if value is not None}
                others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
                try:
                    command = [sys.executable, __file__, "--measure", "--seconds", str(options.seconds)]
                    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                finally:
                    for other in others:
                        other.kill()
                found[side, busy].append(float(done.stdout.split()[-1]))
    print(machine())
    rows = [["seconds a step", "idle", "one busy core", "two busy cores"]]
    rows += [[side, *(f"{median(found[side, busy]):.2f}" for busy in (0, 1, 2))] for side in SIDES]
    table("A training step of the demo on a busy machine", rows)


if __name__ == "__main__":
    main()
