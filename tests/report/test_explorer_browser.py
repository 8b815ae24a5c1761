"""The page of the explanations in headless Chromium, by mouse and keyboard."""

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import pytest
from helpers.explained import GENERATED, METHODS, QUERY, write_explained
from helpers.report_facts import NAMES, PIXEL, pictures_of, tiny_report, with_classes
from report import test_browser

from quac.report.explanation_section import show_explanations
from quac.report.explorer import write_explorer
from quac.report.page import render
from quac.system.tables import read_csv, read_table

browser, emulate, find, press = (getattr(test_browser, name) for name in ("browser", "emulate", "find", "press"))
Keys = test_browser.Keys
CLASSES = [*NAMES[:3], "=4+4"]
CONVERSIONS, PAIRS = 12, 12


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    return [write_explained(folder, CLASSES, CONVERSIONS, kind, groups=True) for kind in ("latent", "reference")]


@pytest.fixture(scope="module")
def table(tables):
    """The table of both style kinds."""
    return pd.concat([read_table(path) for path in tables], ignore_index=True)


@pytest.fixture(scope="module")
def page(tables, tmp_path_factory):
    """The page, alone in its folder."""
    path = tmp_path_factory.mktemp("alone") / "run-explorer.html"
    write_explorer(tables, "test", "run.html", path, 30)
    return path.as_uri()


def open_page(browser, url, **filters):
    emulate(browser)
    browser.get("about:blank")  # or a new hash alone would not load the page again
    browser.get(url + (f"#{urlencode(filters)}" if filters else ""))


def choose(browser, name, value):
    """Set a filter, as a user does."""
    script = "const f = document.querySelector(`[name=${arguments[0]}]`); f.value = arguments[1];"
    browser.execute_script(script + "f.dispatchEvent(new Event('input', {bubbles: true}))", name, value)


def count(browser):
    return int(find(browser, "#count")[0].text.split(" of ")[0].replace(",", ""))


def painted(browser, selector=".explanation canvas", place=0):
    """What a canvas shows, once it is painted."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = browser.execute_script(
            "const c = document.querySelectorAll(arguments[0])[arguments[1]]; const t = c?.parentElement.lastChild;"
            "return c?.dataset.painted === t?.textContent && c.dataset.painted",
            selector,
            place,
        )
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("nothing is painted")


def pixels(browser, *places, selector=".explanation canvas"):
    """Colours at places (x, y), in shares of the picture, of the first canvas."""
    return browser.execute_script(
        "const c = document.querySelector(arguments[0]), t = c.getContext('2d');"
        "return arguments[1].map(([x, y]) => [...t.getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3))",
        selector,
        places,
    )


def assert_near(colour, level):
    assert all(abs(value - level) <= 4 for value in colour), (colour, level)


def test_the_page_opens_from_disk_and_asks_for_nothing_else(browser, page):
    browser.get_log("performance")
    open_page(browser, page)
    assert painted(browser) == "counterfactual"
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page in requested
    assert [url for url in requested if url not in (page, "about:blank") and not url.startswith("data:")] == []


def test_each_filter_leaves_what_it_says(browser, page, table):
    open_page(browser, page)
    right, best, oracle = table["right"], table["best"], table["counterfactual_predicted_by_oracle"] == table["target"]
    assert count(browser) == (right & best).sum()
    choose(browser, "method", "")
    choose(browser, "query", "")
    assert count(browser) == len(table)
    of_group = table["query"].map(lambda name: int(name.split("+")[1].split()[0]) % 2)
    filters = {
        ("source", CLASSES[0]): table["source"] == CLASSES[0],
        ("target", CLASSES[1]): table["target"] == CLASSES[1],
        ("kind", "reference"): table["kind"] == "reference",
        ("method", "random"): table["method"] == "random",
        ("method", "best"): best,
        ("query", "right"): right,
        ("query", "wrong"): ~right,
        ("oracle-oracle", "agrees"): oracle,
        ("oracle-oracle", "disagrees"): ~oracle,
        ("group", "=group 1"): of_group == 1,
        ("score-min", "0.5"): table["quac_score"] >= 0.5,
        ("score-max", "0.25"): table["quac_score"] <= 0.25,
        ("before-min", "0.5"): table["query_p_target"] >= 0.5,
        ("before-max", "0.5"): table["query_p_target"] <= 0.5,
        ("after-min", "0.85"): table["counterfactual_p_target"].round(4) >= 0.85,
        ("after-max", "0.85"): table["counterfactual_p_target"].round(4) <= 0.85,
    }
    for (name, value), wanted in filters.items():
        choose(browser, name, value)
        assert 0 < count(browser) == wanted.sum() < len(table), (name, value)
        choose(browser, name, "")
    both = (table["source"] == CLASSES[3]) & (table["target"] == CLASSES[0])
    choose(browser, "source", CLASSES[3])
    choose(browser, "target", CLASSES[0])
    assert count(browser) == both.sum()
    choose(browser, "target", CLASSES[3])
    assert "No query of this pair was converted." in find(browser, "#none")[0].text
    find(browser, "#none button")[0].click()
    assert count(browser) == len(table)
    find(browser, "#defaults")[0].click()
    assert count(browser) == (right & best).sum()


def test_the_address_keeps_the_selection(browser, page, table):
    open_page(browser, page, source=CLASSES[1], target=CLASSES[0], kind="latent", view="query", mask="off")
    wanted = (table["source"] == CLASSES[1]) & (table["target"] == CLASSES[0]) & (table["kind"] == "latent")
    assert count(browser) == (wanted & table["right"] & table["best"]).sum()
    assert painted(browser) == "query"
    assert_near(*pixels(browser, (0.5, 0.5)), QUERY)  # without the outline in its middle
    choose(browser, "query", "wrong")
    choose(browser, "sort", "mask_size+")
    url = browser.current_url
    open_page(browser, url)
    assert browser.current_url == url
    assert count(browser) == (wanted & ~table["right"] & table["best"]).sum()
    open_page(browser, page, source="no such class", nothing="x")
    assert count(browser) == (table["right"] & table["best"]).sum()


def test_cards_are_sorted_and_only_those_near_the_window_are_made(browser, page, table):
    open_page(browser, page, method="", query="", sort="quac_score+")
    assert count(browser) == len(table) == 2 * PAIRS * CONVERSIONS * len(METHODS)
    assert len(find(browser, ".explanation")) < 100
    assert "score 0.00" in find(browser, ".explanation")[0].text
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    end = time.monotonic() + 10
    while not find(browser, f"[aria-posinset='{len(table)}']"):
        assert time.monotonic() < end
    assert "score 1.00" in find(browser, f"[aria-posinset='{len(table)}']")[0].text
    assert len(find(browser, ".explanation")) < 100
    tops = browser.execute_script(
        "return [...document.querySelectorAll('.explanation')].map(c => c.getBoundingClientRect().top)"
    )
    assert min(tops) < 800
    assert max(tops) > 0


def test_a_picture_changes_by_mouse_and_keys(browser, page):
    open_page(browser, page, mask="off")
    left, right = (0.25, 0.5), (0.75, 0.5)
    assert painted(browser) == "counterfactual"
    inside, outside = pixels(browser, left, right)
    assert_near(inside, GENERATED)  # of the left half, which is the mask
    assert_near(outside, QUERY)
    levels = {"query": QUERY, "generated": GENERATED}
    for view in ("query", "generated", "counterfactual"):
        find(browser, ".explanation .tile")[0].click()
        assert painted(browser) == view
        if view in levels:
            for colour in pixels(browser, left, right):
                assert_near(colour, levels[view])
    assert painted(browser, place=1) == "counterfactual"
    for key, view in {"q": "query", "G": "generated", "c": "counterfactual", "1": "query", "2": "generated"}.items():
        press(browser, key)
        assert painted(browser) == view
        assert painted(browser, place=1) == "counterfactual"
    press(browser, "3", Keys.SPACE)
    assert painted(browser) == "query"
    browser.execute_script("document.activeElement.blur()")
    press(browser, "g")  # all of them
    assert [painted(browser, place=place) for place in range(3)] == ["generated"] * 3
    assert find(browser, "[name=view]:checked")[0].get_attribute("value") == "generated"
    find(browser, ".choice label")[0].click()
    assert [painted(browser, place=place) for place in range(3)] == ["query"] * 3
    press(browser, "c")  # also while the choice has the focus
    assert painted(browser) == "counterfactual"


def test_keys_that_are_typed_into_a_field_are_text(browser, page):
    open_page(browser, page)
    find(browser, "[name=score-min]")[0].click()
    press(browser, "1")
    assert find(browser, "[name=score-min]")[0].get_property("value") == "1"
    assert find(browser, "[name=view]:checked")[0].get_attribute("value") == "counterfactual"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_is_outlined_by_channel(browser, tmp_path, channels):
    write_explorer(
        [write_explained(tmp_path, CLASSES[:2], 2, channels=channels)], "test", "run.html", tmp_path / "p.html", 30
    )
    open_page(browser, (tmp_path / "p.html").as_uri(), view="query")
    assert painted(browser) == "query"
    border = pixels(browser, *((0.5 + shift / 160, 0.3) for shift in range(-2, 3)))
    assert any(max(colour) - min(colour) > 100 for colour in border)
    colours = {tuple(pixels(browser, (share, 0.3))[0]) for share in (0.001, 0.999)}
    assert len(colours) == 2  # the outer borders of the halves: one of them, or of two channels
    red, blue = 0xFF, 0xBE
    if channels == 1:
        assert (red, 0, blue) in colours
    else:
        assert colours == {(0xFF, 0x3B, 0x30), (0x2F, 0xD1, 0x58)}
    press(browser, "m")
    assert not find(browser, "[name=mask]")[0].is_selected()
    painted(browser)
    assert_near(*pixels(browser, (0.001, 0.3)), QUERY)
    if channels == 3:  # each channel is blended by its own mask
        press(browser, "c")
        assert painted(browser) == "counterfactual"
        left, right = pixels(browser, (0.2, 0.5), (0.8, 0.5))
        assert abs(left[0] - GENERATED) + abs(left[1] - QUERY) + abs(left[2] - QUERY) < 20
        assert abs(right[0] - QUERY) + abs(right[1] - GENERATED) + abs(right[2] - QUERY) < 20


def test_cards_are_reached_by_arrow_keys(browser, page):
    open_page(browser, page)
    browser.execute_script("document.querySelector('.explanation').focus()")

    def place():
        return int(browser.switch_to.active_element.get_attribute("data-place"))

    columns = browser.execute_script(
        "return new Set([...document.querySelectorAll('.explanation')].map(card => card.style.left)).size"
    )
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert place() == 1 + columns
    press(browser, Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert place() == 0
    press(browser, Keys.END)
    assert place() == count(browser) - 1
    assert browser.execute_script("return scrollY") > 500
    press(browser, Keys.HOME)
    assert place() == 0
    assert [card.get_attribute("tabindex") for card in find(browser, ".explanation")].count("0") == 1


def test_details_open_by_keys_and_by_mouse(browser, page, table):
    open_page(browser, page)
    best = table[table["right"] & table["best"]].sort_values("quac_score", ascending=False, kind="stable")
    first, second = best.iloc[0], best.iloc[1]
    viewer = find(browser, "#viewer")[0]
    browser.execute_script("document.querySelector('.explanation').focus()")
    press(browser, Keys.ENTER)
    assert viewer.get_property("open")
    text = viewer.get_property("textContent")
    for part in (
        f"{first['source']} → {first['target']}",
        first["query"],
        f"latent/{METHODS[0]}/{first['file']}",
        "0.875",
    ):
        assert part in text
    press(browser, Keys.SPACE)
    assert painted(browser, "#viewer canvas") == "query"
    press(browser, "g")
    assert painted(browser, "#viewer canvas") == "generated"
    press(browser, Keys.ARROW_RIGHT)
    assert f"{second['quac_score']:.3f}" in viewer.get_property("textContent")
    control = find(browser, "#viewer .methods button")[1]
    assert control.text.startswith("random")
    control.click()
    assert f"oracle: {second['source']}" in viewer.get_property("textContent")
    press(browser, Keys.ESCAPE)
    assert not viewer.get_property("open")
    assert browser.switch_to.active_element.get_attribute("data-place") == "1"
    find(browser, ".explanation button")[0].click()
    assert viewer.get_property("open")
    find(browser, "#viewer [data-close]")[0].click()
    assert not viewer.get_property("open")


def test_the_selection_is_exported(browser, page, table, tmp_path):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    filters = {"source": CLASSES[3], "target": CLASSES[0], "kind": "latent", "method": "", "query": ""}
    filters["sort"] = "quac_score+"
    open_page(browser, page, **filters)
    of_pair = (table["source"] == CLASSES[3]) & (table["target"] == CLASSES[0])
    wanted = table[of_pair & (table["kind"] == "latent")].sort_values("quac_score")
    for name in ("csv", "json"):
        find(browser, f"[data-format={name}]")[0].click()
    paths = [tmp_path / f"run-explanations.{ending}" for ending in ("csv", "json")]
    end = time.monotonic() + 10
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.05)
    exported = json.loads(paths[1].read_text(encoding="utf-8"))
    assert (exported["run"], exported["split"]) == ("run", "test")
    assert {name: exported["filters"][name] for name in filters} == filters
    assert "'=4+4" in paths[0].read_text(encoding="utf-8")  # a spreadsheet would compute it
    for found in (read_csv(paths[0]), pd.DataFrame(exported["explanations"])):
        for name in wanted.columns.drop(["digest", "curve", "quac_score"]):
            assert found[name].tolist() == wanted[name].tolist(), name
        assert (found["quac_score"] - wanted["quac_score"].to_numpy()).abs().max() <= 5.1e-5
        assert found["group"].tolist() == [f"=group {number % 2}" for number in wanted["try"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_nothing_is_wider_than_the_window(browser, page, width, scheme):
    open_page(browser, page)
    emulate(browser, width, scheme)
    browser.refresh()
    painted(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert find(browser, "[name=source]")[0].is_displayed() == (width > 640)  # folded on a phone
    browser.execute_script("document.querySelector('.explanation button').click()")
    viewer = find(browser, "#viewer")[0]
    assert viewer.size["width"] <= width
    assert browser.execute_script("return arguments[0].scrollWidth <= arguments[0].clientWidth", viewer)
    emulate(browser)


def test_cells_of_the_report_lead_to_their_explanations_and_back(browser, tables, table, tmp_path):
    names = CLASSES
    report = with_classes(tiny_report(), names)
    report.run = "run"
    part, shown = show_explanations(tables, "test", names, lambda path, side: PIXEL)
    report.explanations = part
    (tmp_path / "run.html").write_text(render(report, {**pictures_of(report), "explanations": shown}), encoding="utf-8")
    write_explorer(tables, "test", "run.html", tmp_path / "run-explorer.html", 30)
    emulate(browser)
    browser.get((tmp_path / "run.html").as_uri())
    find(browser, ".panel.shown td a")[0].click()
    assert len(find(browser, "#viewer .explained figure")) == 2
    assert len(find(browser, "#viewer .explained figure")[0].find_elements("css selector", "img")) == 4
    find(browser, "#viewer .explorer a")[0].click()
    right_best = table["right"] & table["best"] & (table["source"] == names[0]) & (table["target"] == names[1])
    assert Path(browser.current_url.split("#")[0]).name == "run-explorer.html"
    assert count(browser) == (right_best & (table["kind"] == "latent")).sum()
    find(browser, "#back")[0].click()
    assert browser.current_url.endswith("run.html#gallery-0-1")
    gallery = find(browser, "#gallery-0-1")[0]
    assert gallery.get_property("open")
    links = gallery.find_elements("css selector", "p a")
    assert [link.text for link in links] == ["Explanations of this pair"]
    matrix = find(browser, ".quac[data-kind=reference][data-method=random]")[0]
    cells = matrix.find_elements("css selector", "td")
    medians = table[table["right"] & (table["kind"] == "reference") & (table["method"] == "random")]
    medians = medians.groupby(["source", "target"])["quac_score"].median()
    for cell, (source, target) in zip(cells, ((a, b) for a in names for b in names), strict=True):
        expected = f"{medians[source, target]:.2f}" if source != target else "\N{EN DASH}"
        assert cell.get_property("textContent").strip() == expected
    browser.execute_script("arguments[0].click()", cells[1].find_element("css selector", "a"))
    of_cell = table["right"] & (table["kind"] == "reference") & (table["method"] == "random")
    assert count(browser) == (of_cell & (table["source"] == names[0]) & (table["target"] == names[1])).sum()
