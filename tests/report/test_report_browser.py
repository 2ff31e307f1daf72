"""The report of studies as a browser shows it, without network: on a wide screen, on a telephone, and in the dark."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.needed import missing, needed
from helpers.reported import Drawn, cloud, keep, lines, scene, study
from test_leaderboard import results_of

from mtrnn_analysis.report import leaderboard
from mtrnn_analysis.report import studies as html

sync_api = needed("playwright.sync_api")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Scenes in three dimensions are drawn by software, in the place of a graphics card.
FLAGS = ["--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# Nothing of the browser's own shall look for a network.
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
# How fast the browser reads from a canvas, which is a matter between plotly and it.
HINTS = ("willReadFrequently", "GPU stall due to ReadPixels")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
TURNED = 2

# The least contrast of letters (WCAG 2: 4.5 for text) with what they stand on, and the text that has it.
CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let least = [21, ""];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || e.closest("script, style, .turn") || !e.checkVisibility()) continue;
    const [low, high] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < least[0]) least = [contrast, texts.currentNode.data.trim()];
  }
  return least;
}"""
# What can be tapped outside running text, and is less than 40 pixels high.
SMALL = """() => [...document.querySelectorAll("nav a, summary, .button")]
  .filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.textContent)"""


class Shown(NamedTuple):
    """A page that is shown.

    Attributes:
        page: playwright's.
        said: what the console said, errors among it.
        asked: addresses that were asked for, or that failed.
    """

    page: Any
    said: list[str]
    asked: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Chromium's sandbox does not go with the superuser.
    flags = [*FLAGS, "--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else FLAGS
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next((path for name in (*BROWSERS, own) if (path := shutil.which(name))), None)
        if found is None:
            missing(f"there is no browser: none of {', '.join(BROWSERS)} on the PATH, nor playwright's own")
        started = playwright.chromium.launch(executable_path=found, args=flags, headless=True)
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a whole study with every kind of figure, one of which nothing is there, and one in which much went wrong."""
    out = tmp_path_factory.mktemp("report")
    keep(out, study(name="whole"))
    keep(out, study(name="nothing", title="A title of-very-many-words-without-a-place-to-break-it " * 3), there=_never)
    keep(out, study(name="partly"), diverged=lambda labels: labels["seed"] == 0, there=lambda labels: labels["N"] < 20)
    drawn = [Drawn(f"scene {i}", scene(), "To be turned.") for i in range(TURNED)]
    drawn += [Drawn("lines", lines(), "Two lines."), Drawn("cloud", cloud(), "A cloud.")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "figures", lambda found, out: drawn if found.study.name == "whole" else [])
        return html.write(out)


@pytest.fixture(params=[(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")], ids=str)
def screen(request: pytest.FixtureRequest) -> tuple[dict[str, int], str]:
    return request.param


@pytest.fixture
def shown(screen: tuple[dict[str, int], str], browser: Any, report: Path) -> Iterator[Shown]:
    with opened(browser, screen, report) as page:
        yield page


@contextmanager
def opened(browser: Any, screen: tuple[dict[str, int], str], path: Path) -> Iterator[Shown]:
    size, scheme = screen
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=True, has_touch=size is NARROW)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: asked.append(f"failed: {request.url}"))
    page.goto(path.as_uri())
    yield Shown(page, said, asked)
    context.close()


def readable(page: Any) -> int:
    """Sees that pictures are drawn, letters stand out, and nothing is too wide for the screen; gives its width."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    for box in page.locator("img").all():
        assert min(box.evaluate("image => [image.naturalWidth, image.clientWidth, image.clientHeight]")) > 100
    contrast, text = page.evaluate(CONTRAST)
    assert contrast >= 4.5, text
    assert page.evaluate(SMALL) == []
    return room


def silent(shown: Shown, path: Path) -> None:
    """Sees that the console said nothing, and that nothing was fetched."""
    assert [line for line in shown.said if not any(hint in line for hint in HINTS)] == []
    assert [url[:80] for url in shown.asked if not url.startswith(("data:", "blob:", path.as_uri()))] == []


def test_the_leaderboard_is_whole_and_readable(screen: Any, browser: Any, tmp_path: Path) -> None:
    agents = {
        "mine": results_of("mine", lambda name, seed: 0.0 if name == "cued" else 0.9, abstraction=0.5),
        "a-name-that-is-long-and-has-no-place-to-break": results_of("a_name" * 12, lambda name, seed: 1.2),
        "seeing": results_of("seeing", lambda name, seed: 1.0, bare=True, confidence=0.7),
    }
    for name, about in agents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
    path = leaderboard.write(tmp_path)
    with opened(browser, screen, path) as shown:
        readable(shown.page)
        assert shown.page.locator("img").count() == len(agents)
        shown.page.screenshot(path=tmp_path / "leaderboard.png", full_page=True)
        silent(shown, path)


def test_the_report_is_whole_and_readable(shown: Shown, report: Path, tmp_path: Path) -> None:
    page = shown.page
    room = readable(page)
    for turned in page.locator(".turn").all():
        turned.scroll_into_view_if_needed()
        canvas = turned.locator(".gl-container canvas").first
        canvas.wait_for(state="visible", timeout=20_000)
        assert min(canvas.evaluate("canvas => [canvas.width, canvas.height]")) > 100
        assert "x < y & z" in turned.locator("svg").all_text_contents()[0] + turned.inner_text()
        assert "WebGL is not supported" not in turned.inner_text()
    assert page.locator(".turn").count() == TURNED
    # What is far from the screen gives its graphics context back: browsers keep few.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.locator(".gl-container").first.wait_for(state="detached")
    assert page.evaluate("document.documentElement.scrollWidth") <= room
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    silent(shown, report)


def test_links_lead_to_what_is_there(shown: Shown) -> None:
    page = shown.page
    page.locator("nav a").last.click()
    assert page.url.endswith("#study-whole")
    assert abs(page.locator("#study-whole").bounding_box()["y"]) < 40
    with page.expect_download() as download:
        page.locator("#study-whole a[download]").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("N,networks,OOD r²,")


def _never(labels: Any) -> bool:
    return False
