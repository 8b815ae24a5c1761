"""A stage: what it depends on; its rule is in the Snakefile next to this file."""

from quac.config.stages import STAGES, Stage

STAGES["toy"] = Stage(reads=("report.title",))
