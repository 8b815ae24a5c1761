"""The report in headless Chromium."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def browser():
    selenium = pytest.importorskip("selenium.webdriver")
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
    yield chrome
    chrome.quit()


def test_the_report_opens_from_disk(finished, browser, tmp_path):
    shutil.copy(finished.folder / "reports/tiny.html", tmp_path / "alone.html")
    page = (tmp_path / "alone.html").as_uri()
    browser.get(page)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page and not url.startswith("data:")] == []
    for image in browser.find_elements("tag name", "img"):
        assert browser.execute_script("return arguments[0].naturalWidth", image) == 32


def test_the_report_shows_the_numbers_of_the_matrices(finished, browser):
    browser.get((finished.folder / "reports/tiny.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(element => element.open = true)")
    tables = browser.find_elements("css selector", "table.matrix[data-metric]")
    assert len(tables) == 8
    for table in tables:
        split, kind, metric = (table.get_attribute(f"data-{name}") for name in ("split", "kind", "metric"))
        rates = pd.read_csv(finished.root / f"evaluation/{split}/{kind}_{metric}.csv", index_col=0)
        rows = table.find_elements("css selector", "tbody tr")
        assert [row.find_element("tag name", "th").text for row in rows] == rates.index.tolist()
        heads = table.find_elements("css selector", "thead th")
        assert [head.text for head in heads][1:] == rates.columns.tolist()
        for row, source in zip(rows, rates.index, strict=True):
            for cell, target in zip(row.find_elements("tag name", "td"), rates.columns, strict=True):
                shown = cell.text.split()
                rate = rates.loc[source, target]
                assert shown[0] == ("\N{EN DASH}" if np.isnan(rate) else f"{100 * rate:.1f}")
