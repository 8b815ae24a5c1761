"""How far a training goes, and what is done on the way."""

from dataclasses import dataclass

from quac.config import Config, checkpoint_steps
from quac.config.run_options import RunOptions


@dataclass(frozen=True)
class Plan:
    """The plan of a training: the step up to which to train, and the steps whose checkpoints are saved and at which
    the conversion is evaluated, ascending."""

    end: int
    steps: list[int]
    evaluations: list[int]
    options: RunOptions

    @classmethod
    def of(cls, config: Config, options: RunOptions) -> "Plan":
        """The plan of the settings of the stage `save_plan`."""
        end = config.run.total_iters
        return cls(end, config.steps, checkpoint_steps(options.eval_every, end), options)
