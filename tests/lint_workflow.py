"""`snakemake --lint`, of which only the hint on software deployment is let pass: pip installs what the rules need."""

import re
import subprocess
import sys
from pathlib import Path

ALLOWED = "Specify a conda environment or container for each rule."

snakemake = Path(sys.executable).with_name("snakemake")
lint = subprocess.run([snakemake, "--lint"], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
said = lint.stdout + lint.stderr
hints = re.findall(r"^    \* (.*):$", said, re.MULTILINE)
if not hints or any(hint != ALLOWED for hint in hints):
    sys.exit(said)
