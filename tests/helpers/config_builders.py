"""A small config. (Starts without torch.)"""

from quac.config.resolve import resolve


def tiny_config(**sections):
    """A resolved config of tiny networks; `sections` are merged over it."""
    raw = {
        "data": {"source": "data/train", "img_size": 32, "grayscale": True, "batch_size": 4},
        "validation_data": {"source": "data/validation"},
        "test_data": {"source": "data/test"},
        "model": {"conv_dim": 4, "max_conv_dim": 8, "hidden_dim": 16, "style_dim": 4, "latent_dim": 4},
        "solver": {"root_dir": "results/tiny", "lr": 1e-3, "f_lr": 1e-3},
        "validation_config": {"num_outs_per_domain": 2, "val_batch_size": 4, "min_accuracy": 0.0},
        "classifier": {"epochs": 2, "width": 4, "batch_size": 8},
        "run": {"total_iters": 4, "save_every": 2, "log_every": 1, "state_every": 2, "threads": 1, "device": "cpu"},
        "log": {"name": "tiny", "mode": "disabled"},
        "report": {"examples": 2},
    }
    for name, section in sections.items():
        raw[name] = {**raw.get(name, {}), **section} if isinstance(section, dict) else section
    return resolve(raw)
