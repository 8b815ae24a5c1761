"""The report's page, as HTML.

Variables of a section's template: the parts of Report, `report` itself, the section's `pictures`, and those of
TEMPLATES.
"""

import json
from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from quac.evaluation.metrics import EVALUATION_QUERIES, EVALUATION_TRIES, METRICS, RATES
from quac.report import figures
from quac.report.claims import called_before, checked, groups_text, identification_chance, ignored_checks, sound_claims
from quac.report.controls import meaning_of, sentence_of
from quac.report.formats import FORMATS, SHADES, duration, explorer_link, shade, thinned
from quac.report.gallery import GROUPS, entries_by_pair
from quac.report.matrices import counts, metrics_of, panels_of
from quac.report.pictures import Pictures
from quac.report.schema import Report
from quac.report.sections import SECTIONS
from quac.report.style_grids import SIDES
from quac.system.files import yaml_text

# The report's templates. Their variables are text, never markup.
TEMPLATES = Environment(
    loader=PackageLoader("quac.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {**FORMATS, "duration": duration, "shade": shade, "thinned": thinned}
TEMPLATES.filters |= {"json": partial(json.dumps, ensure_ascii=False), "yaml": yaml_text}
TEMPLATES.globals |= {"METRICS": METRICS, "RATES": RATES, "SHADES": SHADES, "GROUPS": GROUPS}
TEMPLATES.globals |= {"called_before": called_before, "checked": checked, "ignored_checks": ignored_checks}
TEMPLATES.globals |= {"groups_text": groups_text, "sound_claims": sound_claims}
TEMPLATES.globals |= {"identification_chance": identification_chance}
TEMPLATES.globals |= {"EVALUATION_QUERIES": EVALUATION_QUERIES, "EVALUATION_TRIES": EVALUATION_TRIES}
TEMPLATES.globals |= {"FULL_SIDE": SIDES[0], "figures": figures, "zip": zip}
TEMPLATES.globals |= {"sentence_of": sentence_of, "meaning_of": meaning_of}
TEMPLATES.globals |= {"explorer_of": explorer_link}
TEMPLATES.globals |= {"metrics_of": metrics_of, "panels_of": panels_of, "entries_by_pair": entries_by_pair}


def render(report: Report, pictures: Pictures) -> str:
    """The text of the HTML file; `pictures`: see `quac.report.build`. Equal arguments give equal text."""
    parts = dict(report)
    sections = [section for section in SECTIONS.values() if section.part is None or parts.get(section.part) is not None]
    contents = []
    for section in sections:
        variables = {**parts, "report": report, "pictures": pictures.get(section.name, {})}
        text = TEMPLATES.get_template(f"{section.name}.html").render(variables)
        contents.append(Markup(text))  # noqa: S704 (autoescaped by the template)
    return TEMPLATES.get_template("report.html").render(
        **parts,
        sections=sections,
        contents=contents,
        pictures=pictures,
        embedded={"classes": report.classes, "counts": counts(report)},
    )
