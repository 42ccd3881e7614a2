"""Pages in a real browser, from disk, without scripts: in one start, at both widths, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.reporters.html import index, page
from tests.reporters.html import samples
from tests.reporters.html.chromium import BINARY, MISSING, Chromium

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

SEEN = """(() => {
  const shown = e => e.getClientRects().length > 0;
  const all = s => [...document.querySelectorAll(s)].filter(shown);
  return {
    verdict: all('.verdict .lead').map(e => e.innerText), badge: all('h1 .badge').map(e => e.innerText),
    tables: all('table').length, charts: all('svg.chart').length, rows: all('.versions tbody tr').length,
    wide: document.documentElement.scrollWidth, ground: getComputedStyle(document.body).backgroundColor,
    button: all('button').length,
    sizes: all('svg.chart').filter(e => !e.closest('.scroll')).map(e => e.clientWidth),
    texts: all('svg.chart text').map(e => e.getBoundingClientRect())
      .every(r => r.left >= -1 && r.right <= innerWidth + 1),
  };
})()"""
"""What a person would see."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for sample in (samples.good, samples.cut, samples.empty, samples.crowded):
        (folder / f"{sample.__name__}.html").write_text(samples.made(sample), encoding="utf-8")
    (folder / "hostile.html").write_text(page(samples.hostile(folder)), encoding="utf-8")
    (folder / "index.html").write_text(index([sample() for sample in samples.PLAIN]), encoding="utf-8")
    return folder


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["good", "cut", "empty", "crowded", "hostile", "index"])
def test_a_page_fits_and_shows_all(browser: Chromium, pages: Path, name: str, width: int) -> None:
    browser.open(pages / f"{name}.html", width=width)
    seen = browser.query(SEEN)
    assert seen["wide"] == width  # nothing makes the page scroll sideways
    assert all(0 < size <= 1.3 * width for size in seen["sizes"])
    assert seen["button"] == 0  # that is the script's
    if name in ("good", "cut"):
        assert all((seen["verdict"], seen["badge"], seen["rows"], seen["tables"]))
        assert seen["charts"] >= 3
        assert seen["texts"]


def test_dark_and_light_are_different_looks(browser: Chromium, pages: Path) -> None:
    grounds = []
    for dark in (False, True):
        browser.open(pages / "cut.html", dark=dark)
        grounds.append(browser.query(SEEN)["ground"])
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


CONTRAST = """(() => {
  const channels = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = c => channels(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)') return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *:not(svg):not(svg *):not(script)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    const [one, two] = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);
    const ratio = (one + .05) / (two + .05);
    if (ratio < 4.5) bad.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
  }
  return bad;
})()"""
"""WCAG 2.2, success criterion 1.4.3; text in charts is dark on light by the same variables."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_enough_contrast(browser: Chromium, pages: Path, dark: bool) -> None:
    for name in ("good", "cut", "index"):
        browser.open(pages / f"{name}.html", dark=dark)
        assert browser.query(CONTRAST) == []


def test_print_shows_the_wide_charts_without_navigation(browser: Chromium, pages: Path, tmp_path: Path) -> None:
    browser.open(pages / "cut.html", width=700, media="print")
    shown = "[...document.querySelectorAll('nav, .narrow')].filter(e => e.getClientRects().length).length"
    assert browser.query(shown) == 0
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
