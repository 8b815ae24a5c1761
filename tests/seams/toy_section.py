"""A section of the report: how its part of the JSON is read from the files of a run, and its template."""

from jinja2 import ChoiceLoader, DictLoader

from quac.report.page import TEMPLATES
from quac.report.sections import SECTIONS, ReportSection

TEMPLATE = '<section id="weather"><p>Sunny over {{ weather.title }}</p></section>'

SECTIONS["weather"] = ReportSection(
    "weather", "Weather", part="weather", collect=lambda run: ({"title": run.config.report.title}, {})
)
TEMPLATES.loader = ChoiceLoader([TEMPLATES.loader, DictLoader({"weather.html": TEMPLATE})])
