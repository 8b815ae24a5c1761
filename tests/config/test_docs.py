from helpers.builders import ROOT

from quac.config import known_keys
from quac.config.docs import reference


def test_the_reference_of_the_config_is_up_to_date():
    assert (ROOT / "config/README.md").read_text() == reference(), "run `make docs`"


def test_every_key_has_a_meaning():
    assert "None |" not in reference()
    keys = [name for name in known_keys() if name.startswith("data.") and name != "data.augment"]  # a section
    assert all(f"`{name.split('.', 1)[1]}`" in reference() for name in keys)
