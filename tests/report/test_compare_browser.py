"""The comparison in headless Chromium."""

import json

import pytest
from helpers.report_facts import NAMES, tiny_report, with_classes
from report import test_browser

from quac.report.compare import write_comparison

browser, emulate, find, press = (getattr(test_browser, name) for name in ("browser", "emulate", "find", "press"))
Keys = test_browser.Keys
COUNTS = (1, 3, 12)
MINUS = "\N{MINUS SIGN}"


def three_reports():
    """{name: report}: three runs that differ in their rates, the third with other classes of hostile names."""
    plain, better, odd = tiny_report(), tiny_report(), with_classes(tiny_report(), NAMES)
    better.config["loss"]["lambda_cyc"] = 20.0
    for report in (plain, better):
        for matrix in report.matrices:
            for cell in matrix.cells:
                shift = 0.625 if report is better and cell.source == "along" else 0.0
                for end, value in (("", 0.25), ("_low", 0.0), ("_high", 0.5)):
                    setattr(cell, f"translation_rate{end}", value + shift)
    # Of each query of `along`, one of two tries more is called `across`.
    better.hits.hits["latent"]["along"]["across"] = "1 2 2 2 1 1 2 2 1 2"
    plain.hits.hits["latent"]["along"]["across"] = "0 1 1 1 0 0 1 1 0 1"
    odd.config["loss"]["lambda_cyc"] = 3.0
    return {"plain": plain, "better": better, NAMES[0]: odd}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{number of runs: URL of their comparison, alone in its folder}."""
    reports = list(three_reports().items())
    reports += [(NAMES[number], reports[number % 3][1]) for number in range(3, 12)]
    folder = tmp_path_factory.mktemp("reports")
    paths = [folder / f"{number}.json" for number in range(12)]
    for path, (name, report) in zip(paths, reports, strict=True):
        path.write_text(report.model_copy(update={"run": name}).model_dump_json())
    found = {}
    for count in COUNTS:
        page = tmp_path_factory.mktemp("alone") / "index.html"
        write_comparison(paths[:count], page)
        found[count] = page.as_uri()
    return found


def names_of(browser, selector="#table tbody th"):
    return [cell.get_attribute("textContent").strip() for cell in find(browser, selector) if cell.is_displayed()]


def choose(browser, selector, value):
    browser.execute_script(
        "const input = document.querySelector(arguments[0]); input.value = arguments[1];"
        "input.dispatchEvent(new Event('change'))",
        selector,
        str(value),
    )


@pytest.mark.parametrize("count", COUNTS)
def test_it_opens_from_disk(browser, pages, count):
    url = pages[count]
    browser.get_log("performance")
    browser.get(url)
    assert len(names_of(browser)) == count
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [other for other in requested if other != url and not other.startswith("data:")] == []


def test_one_run_has_its_matrix_alone(browser, pages):
    browser.get(pages[1])
    (figure,) = find(browser, "#drawn figure")
    assert [cell.text for cell in figure.find_elements("css selector", "td b")] == ["25.0"] * 4
    browser.execute_script("document.querySelector('[name=rate][value=conversion_rate]').click()")
    assert [cell.text for cell in find(browser, "#drawn td b")] != ["25.0"] * 4


def test_missing_numbers_are_dashes(browser, tmp_path):
    old = tiny_report().model_dump(mode="json")
    old["matrices"] = [matrix for matrix in old["matrices"] if matrix["kind"] == "latent"]
    for matrix in old["matrices"]:
        for numbers in (matrix["averages"], *matrix["cells"]):
            for name in [name for name in numbers if name.startswith("conversion_rate")]:
                del numbers[name]
    (tmp_path / "old.json").write_text(json.dumps({**old, "run": "old"}))
    (tmp_path / "new.json").write_text(tiny_report().model_dump_json())
    write_comparison([tmp_path / "old.json", tmp_path / "new.json"], tmp_path / "index.html")
    browser.get((tmp_path / "index.html").as_uri())
    assert {cell.text for cell in find(browser, "#drawn figure:last-child td")} == {"+0.0"}
    for choice in ("[name=rate][value=conversion_rate]", "[name=kind][value=reference]"):
        browser.execute_script(f"document.querySelector('{choice}').click()")
        for figure in ("first", "last"):
            assert {cell.text for cell in find(browser, f"#drawn figure:{figure}-child td")} == {"\N{EN DASH}"}
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("count", [3, 12])
def test_two_matrices_and_their_difference(browser, pages, count):
    browser.get(pages[count])
    assert len(find(browser, "#drawn figure")) == 3
    rows = [[cell.text for cell in row.find_elements("css selector", "td")] for row in find(browser, "#drawn tr")]
    differences = rows[-2:]
    assert differences == [["+0.0", "+0.0"], ["+62.5", "+62.5"]]
    (bold,) = find(browser, "#drawn figure:last-child b")  # the interval of the paired difference does not contain 0
    assert bold.find_element("xpath", "..").get_attribute("title").endswith("paired by query: +50.0 to +50.0")
    assert "paired by query: +25.0 to +25.0" in find(browser, "#drawn figure:last-child .average")[0].text
    choose(browser, "#one", 1)
    choose(browser, "#other", 0)
    assert find(browser, "#drawn figure:last-child caption")[0].text == f"plain {MINUS} better"
    assert find(browser, "#drawn figure:last-child tbody tr:last-child td")[0].text == f"{MINUS}62.5"
    (bold,) = find(browser, "#drawn figure:last-child b")
    assert bold.find_element("xpath", "..").get_attribute("title").endswith(f"{MINUS}50.0 to {MINUS}50.0")
    choose(browser, "#other", 2)
    assert "not paired by query" in find(browser, "#drawn figure:last-child .average")[0].text
    assert find(browser, "#drawn figure:last-child b") == []
    heads = browser.execute_script(
        "return [...document.querySelectorAll('#drawn figure:last-child thead span')].map(e => e.textContent)"
    )
    assert heads == ["across", "along", *NAMES]
    assert {cell.text for cell in find(browser, "#drawn figure:last-child td")} == {"\N{EN DASH}"}


def test_a_column_header_sorts_numerically(browser, pages):
    browser.get(pages[3])
    for expected in (["better", NAMES[0], "plain"], ["plain", NAMES[0], "better"], ["plain", "better", NAMES[0]]):
        browser.execute_script("document.querySelectorAll('#table thead button')[1].click()")
        assert names_of(browser) == expected


@pytest.mark.parametrize("count", COUNTS)
def test_the_filter_shows_only_matching_runs(browser, pages, count):
    browser.get(pages[count])
    find(browser, "#filter")[0].send_keys("PLAIN")
    assert names_of(browser) == ["plain"]
    assert names_of(browser, "#curves .runs-legend span") == ["plain"]
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#curves [id*=-run-]')].filter(e => e.style.display !== 'none').length"
    )
    assert shown == 6  # a line in each chart
    press(browser, *[Keys.BACKSPACE] * len("PLAIN"))
    assert len(names_of(browser)) == count


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("count", COUNTS)
def test_nothing_is_wider_than_the_window(browser, pages, count, width, scheme):
    emulate(browser, width, scheme)
    browser.get(pages[count])
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    emulate(browser)
