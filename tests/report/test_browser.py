"""The report in headless Chromium."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from helpers.report_facts import CLASSES, NAMES, controls, pictures_of, tiny_report, with_classes

from quac.evaluation.metrics import METRICS
from quac.report.matrices import metrics_of
from quac.report.page import render
from quac.report.schema import Masks
from quac.report.warnings import find_warnings

selenium = pytest.importorskip("selenium.webdriver")
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
Keys = selenium.Keys


@pytest.fixture(scope="module")
def browser():
    driver = shutil.which("chromedriver")
    if not driver:
        if os.environ.get("CI"):
            pytest.fail("no chromedriver: .ci/run installs it")
        pytest.skip("no chromedriver (Debian: apt install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run"):
        options.add_argument(f"--{flag}")
    chrome = selenium.Chrome(options, selenium.ChromeService(driver))
    chrome.get = partial(open_page, chrome, chrome.get)
    yield chrome
    chrome.quit()


def open_page(chrome, get, url):
    """On a busy machine the driver may return before the scripts of a file have run."""
    get(url)

    def is_loaded(chrome):
        address, state = chrome.execute_script("return [location.href, document.readyState]")
        return state == "complete" and address.partition("#")[0] == url.partition("#")[0]

    WebDriverWait(chrome, 30).until(is_loaded)


@pytest.fixture(scope="module", params=["tiny", "many"])
def page(request, tmp_path_factory):
    """A report alone in its folder: of two classes, and of twelve classes with hostile names."""
    path = tmp_path_factory.mktemp("alone") / f"{request.param}.html"
    report = tiny_report() if request.param == "tiny" else with_classes(tiny_report(), NAMES)
    path.write_text(render(report, pictures_of(report)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def workflow_page(finished, tmp_path):
    """The report of the tiny workflow, alone in its folder."""
    return Path(shutil.copy(finished.folder / "reports/tiny.html", tmp_path)).as_uri()


def emulate(browser, width=1200, scheme="light", height=800):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def press(browser, *keys):
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def test_the_report_opens_from_disk(browser, page):
    browser.get_log("performance")
    browser.get(page)
    for details in find(browser, "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page in requested
    assert [url for url in requested if url != page and not url.startswith("data:")] == []


def test_every_picture_is_there(browser, page):
    browser.get(page)
    assert_pictures_are_there(browser)


def test_every_picture_of_a_run_is_there(browser, workflow_page):
    test_the_report_opens_from_disk(browser, workflow_page)
    assert_pictures_are_there(browser)


def assert_pictures_are_there(browser):
    urls = browser.execute_script(
        "return [...document.querySelectorAll('.picture')].map(e => getComputedStyle(e).backgroundImage)"
    )
    assert urls
    assert all(url.startswith('url("data:image/') for url in urls)
    decoded = browser.execute_async_script(
        "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode() }))"
        ".then(all => arguments[0](all.length), () => arguments[0](-1))"
    )
    assert decoded > 0


def test_the_report_shows_the_numbers_of_the_matrices(finished, browser):
    browser.get((finished.folder / "reports/tiny.html").as_uri())
    panels = find(browser, ".panel")
    assert len(panels) == 2 * 2 * len(metrics_of(["oracle"]))
    for panel in panels:
        split, kind, metric = (panel.get_attribute(f"data-{name}") for name in ("split", "kind", "metric"))
        if metric not in METRICS:  # by the oracle: its numbers are in the cells
            continue
        file = finished.root / f"evaluation/{split}/{kind}_{metric}.csv"
        numbers = pd.read_csv(file, index_col=0)
        scale = 100 if METRICS[metric].format == "percent" else 1
        for row, source in enumerate(numbers.index):
            for column, target in enumerate(numbers.columns):
                cell = panel.find_element("css selector", f"[data-row='{row}'] td:nth-child({column + 2})")
                shown = cell.find_element("css selector", ":first-child").get_attribute("textContent")
                number = numbers.loc[source, target]
                if pd.isna(number):
                    assert shown == "\N{EN DASH}"
                else:
                    assert float(shown) == pytest.approx(scale * number, rel=0.006, abs=6e-4 if scale == 1 else 0.051)


def test_the_grids_show_their_numbers(browser, tmp_path):
    report = tiny_report()
    report.styles.grids[1].rows[2].predicted[3] = "across"
    (tmp_path / "grids.html").write_text(render(report, pictures_of(report)), encoding="utf-8")
    emulate(browser)
    browser.get((tmp_path / "grids.html").as_uri())
    browser.execute_script("document.querySelectorAll('.styles').forEach(element => element.open = true)")
    shown = {}
    for sheet in find(browser, ".sheet"):
        assert sheet.is_displayed()
        rows = sheet.find_elements("css selector", "tbody tr")
        texts = [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]
        missed = [[cell.get_attribute("class") for cell in row.find_elements("css selector", "td")] for row in rows]
        heads = [head.get_attribute("title") for head in sheet.find_elements("css selector", "thead th")[1:]]
        shown[sheet.get_attribute("aria-label")] = (heads, texts, missed)
    for grid in report.styles.grids:
        heads, texts, missed = shown[f"queries converted into {grid.target} with {grid.kind} styles"]
        assert heads == grid.styles
        assert texts == [[f"{p:.2f}" for p in row.p_target] for row in grid.rows]
        assert missed == [["" if c == grid.target else "missed" for c in row.predicted] for row in grid.rows]


def test_a_class_of_grids_is_opened_by_the_keyboard(browser, page):
    emulate(browser)
    browser.get(page)
    second = find(browser, "details.styles")[1]
    sheets = second.find_elements("css selector", ".sheet")
    assert [sheet.is_displayed() for sheet in sheets] == [False, False]
    browser.execute_script("arguments[0].focus()", second.find_element("css selector", "summary"))
    press(browser, Keys.ENTER)
    assert [sheet.is_displayed() for sheet in sheets] == [True, True]


def test_a_matrix_is_copied_as_its_file(finished, browser):
    browser.get((finished.folder / "reports/tiny.html").as_uri())
    browser.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    find(browser, ".panel.shown .copy")[0].click()
    file = finished.root / "evaluation/test/latent_translation_rate.csv"
    assert browser.execute_script("return window.copied") == file.read_text()


def test_the_column_headers_are_the_classes(browser, page):
    browser.get(page)
    names = NAMES if page.endswith("many.html") else CLASSES
    for panel in find(browser, ".panel")[:2]:
        heads = browser.execute_script(
            "return [...arguments[0].querySelectorAll('th span')].map(e => e.textContent)", panel
        )
        assert heads == [*names, *names]


def test_a_cell_opens_its_gallery_by_mouse_and_by_keyboard(browser, page):
    emulate(browser)
    browser.get(page)
    first = find(browser, ".panel.shown td a")[0]
    viewer = find(browser, "#viewer")[0]
    first.click()
    assert viewer.get_property("open")
    assert find(browser, "#viewer .picture")
    find(browser, "#viewer .close")[0].click()
    assert not viewer.get_property("open")
    assert browser.switch_to.active_element == first
    press(browser, Keys.ARROW_LEFT)  # the diagonal, which opens nothing
    press(browser, Keys.ENTER)
    assert not viewer.get_property("open")
    readout = find(browser, ".panel.shown .readout")[0].text
    assert "expected" in readout
    press(browser, Keys.ARROW_DOWN, Keys.ENTER)
    assert viewer.get_property("open")
    names = browser.execute_script("return JSON.parse(document.getElementById('embedded').textContent).classes")
    title = find(browser, "#viewer-title")[0].get_attribute("textContent")
    assert title == f"{names[1]} \N{RIGHTWARDS ARROW} {names[0]}"
    press(browser, Keys.ESCAPE)
    assert not viewer.get_property("open")


def test_tabs_and_choices_show_one_panel(browser, page):
    emulate(browser)
    browser.get(page)

    def shown():
        (panel,) = [panel for panel in find(browser, ".panel") if panel.is_displayed()]
        return [panel.get_attribute(f"data-{name}") for name in ("split", "kind", "metric")]

    assert shown() == ["test", "latent", "translation_rate"]
    find(browser, "#tab-ssim")[0].click()
    assert shown() == ["test", "latent", "ssim"]
    press(browser, Keys.ARROW_RIGHT)
    assert shown() == ["test", "latent", "cycle"]
    press(browser, Keys.END, Keys.ARROW_RIGHT)
    assert shown() == ["test", "latent", "translation_rate"]
    browser.execute_script("document.querySelector('[name=kind][value=reference]').click()")
    browser.execute_script("document.querySelector('[name=split][value=validation]').click()")
    assert shown() == ["validation", "reference", "translation_rate"]


def test_a_column_header_sorts_the_rows(browser, page):
    browser.get(page)

    def values():
        cells = find(browser, ".panel.shown tbody td:nth-child(2)")
        return [float(cell.get_attribute("data-value")) for cell in cells]

    before = values()
    for expected in (sorted(before, reverse=True), sorted(before), before):
        browser.execute_script("document.querySelector('.panel.shown thead button').click()")
        assert values() == expected


def test_the_verdict_is_one_screen_if_everything_is_filled(browser, tmp_path):
    report = tiny_report()
    report.masks = Masks(edge=2, queries={"test": (20, 20)})
    report.controls = type(report.controls).model_validate(controls(["oracle"]))
    report.config["loss"]["lambda_cls"] = 1.0
    for matrix in report.matrices:
        matrix.averages.diversity = 0.1
    report.warnings = list(find_warnings(report))
    assert len(report.warnings) == 2
    (tmp_path / "full.html").write_text(render(report, pictures_of(report)), encoding="utf-8")
    emulate(browser, 1280, height=900)
    browser.get((tmp_path / "full.html").as_uri())
    bottom = browser.execute_script("return document.getElementById('verdict').getBoundingClientRect().bottom")
    emulate(browser)
    assert bottom <= 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_is_wider_than_the_window(browser, page, width, scheme):
    emulate(browser, width, scheme)
    browser.get(page)
    browser.execute_script("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    browser.execute_script("document.querySelector('.panel.shown td a').click()")
    viewer = find(browser, "#viewer")[0]
    assert viewer.size["width"] <= width
    assert browser.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", viewer)
    emulate(browser)
