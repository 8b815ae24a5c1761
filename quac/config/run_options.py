"""How a training is carried out: what does not change its result, and so makes nothing run again."""

from typing import Literal

from quac.config import Config
from quac.config.section import Section


class RunOptions(Section):
    """See the keys of the same names in the sections `run`, `solver`, `data` and `log`."""

    log_every: int
    eval_every: int
    state_every: int
    state_minutes: float
    keep_states: int
    accumulate: int
    compile: Literal["auto", "always", "never"]
    device_cache: Literal["auto", "always", "never"]
    level: Literal[0, 1, 2]

    @classmethod
    def of(cls, config: Config) -> "RunOptions":
        """Those of a resolved config."""
        names = ("log_every", "eval_every", "state_every", "state_minutes", "keep_states", "accumulate")
        return cls(
            **{name: getattr(config.run, name) for name in names},
            compile=config.solver.compile,
            device_cache=config.data.device_cache,
            level=config.log.level,
        )
