"""What the docs and the messages name exists."""

import re

import pytest
from helpers.builders import ROOT

from quac.config.choices import SEVERITIES

PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = [path for folder in ("quac", "workflow") for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]


def anchors(page):
    """The anchors of the headings of a page, as GitHub forms them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings(page):
    for target, anchor in re.findall(r"(?:\]\(|^\[\w+\]: )([^)#\s]*)#?([^)\s]*)", page.read_text(), re.MULTILINE):
        if not target.startswith("http"):
            linked = page.parent / target if target else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def test_pages_that_the_program_names_exist():
    names = {
        name
        for path in PACKAGE
        if path.suffix != ".pyc"
        for name in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text())
    }
    assert {name for name in names if not (ROOT / name).is_file()} == set()
    assert len(names) > 3


def test_the_reference_of_the_findings_is_up_to_date():
    page = (ROOT / "docs/reference/findings.md").read_text()
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", page, re.MULTILINE)) == SEVERITIES
