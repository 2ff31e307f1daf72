"""The report of studies, read as HTML: what it says, and that it fetches nothing."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from helpers.reported import TITLE, Drawn, cloud, keep, lines, numbers, scene, study

from mtrnn_analysis.report import studies as html
from mtrnn_analysis.report import table
from mtrnn_analysis.report.pictures import still
from mtrnn_envs import plugins
from mtrnn_envs.experiments.studies.cell import path_of
from mtrnn_envs.experiments.studies.study import Study

Draw = Callable[[], list[Drawn]]
# Tags without an end, and attributes whose address a browser fetches by itself.
EMPTY = {"meta", "link", "img", "br", "hr", "input"}
FETCHED = {"src", "srcset", "data", "poster", "background", "action", "formaction", "cite", "manifest"}


class Page(HTMLParser):
    """A page as a list of tags with their attributes, and its text; tags must be closed in the order of opening."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def read(self, *tags: str) -> str:
        """The text in such tags, or in all that are shown."""
        shown = [text for tag, text in self.texts if (tag in tags if tags else tag not in {"script", "style"})]
        return " | ".join(shown)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[[Draw], None]:
    """Lets the report have these figures of every study."""

    def use(make: Draw) -> None:
        monkeypatch.setattr(html, "figures", lambda found, out: make())

    use(lambda: [])
    return use


def page(out: Path, *studies: Study, **how: Any) -> Page:
    for each in studies:
        keep(out, each, **how)
    return Page(html.write(out).read_text(encoding="utf-8"))


def all_kinds() -> list[Drawn]:
    return [
        Drawn("lines", lines(), "Two <lines>. Of one (arXiv:2407.11249)."),
        Drawn("cloud", cloud(), "A cloud"),
        Drawn("scene", scene(), 'To be "turned"'),
    ]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of two studies that differ in their names, with every kind of figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "figures", lambda found, out: all_kinds())
        return page(tmp_path_factory.mktemp("two"), study(name="a"), study(name="b"))


def test_it_is_found_by_its_name() -> None:
    assert plugins.report("html") is html.write
    assert table(["a"], [["b"]]).startswith("| a")


def test_nothing_is_fetched_and_ids_are_of_one_element_each(two: Page) -> None:
    for tag, attributes in two.tags:
        for name in FETCHED & set(attributes):
            assert (attributes[name] or "").startswith("data:"), (tag, name)
        if tag == "link":
            assert attributes["href"] == "data:,"
    for link in two.all("a"):
        assert re.match(r"#|data:text/csv|https://(arxiv|doi)\.org/|studies/", link["href"] or "")
    assert not re.search(r"@import|url\(", two.read("style"))
    (policy,) = [m["content"] for m in two.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*", policy)
    ids = [attributes["id"] for _, attributes in two.tags if "id" in attributes]
    assert len(set(ids)) == len(ids) >= 8
    assert {link["href"][1:] for link in two.all("a") if (link["href"] or "#")[0] == "#" and link["href"]} <= set(ids)


def test_what_would_be_markup_is_escaped(two: Page) -> None:
    assert {tag for tag, _ in two.tags} & {"b", "tasks", "asked", "lines"} == set()
    assert TITLE in two.read("h2")
    assert "More tasks <b>help</b>" in two.read("th")
    assert two.all("img")[0]["alt"] == "Two <lines>."
    assert "Two <lines>. Of one (" in two.read("figcaption")


def test_what_is_turned_is_whole_and_its_program_there_once(two: Page) -> None:
    scripts = [text for tag, text in two.texts if tag == "script"]
    parts = [json.loads(text) for text in scripts if text.startswith('{"data"')]
    assert len(parts) == 2
    assert parts[0]["data"][0]["name"] == "</script><b>"
    assert parts[0]["layout"]["title"]["text"] == "x < y & z"
    assert "width" not in parts[0]["layout"]
    assert [len(text) > 1e6 for text in scripts].count(True) == 1


def test_without_figures_to_be_turned_there_is_no_program(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    drawn(lambda: [Drawn("lines", lines(), "Lines")])
    found = page(tmp_path, study())
    assert not found.all("script")
    assert (tmp_path / "report.html").stat().st_size < 200_000


def test_the_same_results_give_the_same_bytes(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    drawn(all_kinds)
    page(tmp_path, study())
    first = (tmp_path / "report.html").read_bytes()
    assert html.write(tmp_path).read_bytes() == first
    assert datetime.now(timezone.utc).strftime("%Y-%m-%d").encode() not in first


def test_what_a_study_says_does_not_depend_on_the_others(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    keep(tmp_path, study(name="a"))
    keep(tmp_path, study(name="b"))

    def part(*names: str) -> str:
        return html.write(tmp_path, names).read_text(encoding="utf-8").split('<section id="study-b"')[1]

    assert part("a", "b") == part("b")


def test_pictures_are_as_small_as_may_be(tmp_path: Path) -> None:
    kinds = [still(figure).source for figure in (lines(), cloud())]
    assert [kind.split(",")[0] for kind in kinds] == ["data:image/svg+xml", "data:image/png;base64"]
    assert all(len(kind) < 150_000 for kind in kinds)
    root = ElementTree.fromstring(unquote(kinds[0].split(",", 1)[1]))
    assert root.tag.endswith("svg")
    assert base64.b64decode(kinds[1].split(",", 1)[1])[:4] == b"\x89PNG"
    assert (still(lines()).width, still(lines()).height) == (672, 250)


def test_claims_have_verdicts_in_words(two: Page) -> None:
    """Of five networks each whose numbers are known: the means over the middle of 0.8, 0.9 and 1.0."""
    text = two.read()
    row = r"More tasks <b>help</b> \| arXiv:2407.11249 \| , Fig. 1f \| ✓ \| holds \| > 0.5 \| 0.900 \["
    assert re.search(row, text)
    assert re.search(r"All is decoded \| ✗ \| does not hold \| > 0.95 \| 0.900 \[", text)
    assert re.search(r"It is much \| \? \| open \| > 0.2 \| 0.200 \[0.1\d+, 0.2\d+\] \| 5 and 5", text)
    assert re.search(r"✓ \| 1 holds \| ✗ \| 1 does not hold \| \? \| 1 open \| 15 of 15 \| as declared \| 15 s", text)


def test_the_summary_is_that_of_the_networks(two: Page) -> None:
    assert re.search(r"0.800 \[0.7\d\d, 0.8\d\d\] \| 0.970 \[0.9", two.read("td"))
    link, other = (a for a in two.all("a") if a.get("download"))
    assert (link["download"], other["download"]) == ("a-summary.csv", "b-summary.csv")
    text = base64.b64decode((link["href"] or "").split(",", 1)[1]).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["N"] for row in rows] == ["2", "6", "24"]
    assert [float(row["OOD r²"]) for row in rows] == pytest.approx([0.8, 0.9, 1.0])
    assert [row["OOD r²: networks"] for row in rows] == ["5"] * 3


def test_ceilings_and_what_needs_no_training_stand_beside_the_networks(two: Page) -> None:
    cells = two.read("th", "td")
    assert "accuracy | ideal accuracy | 2 | 0.900 | 0.960 | 6 | 0.900 | 0.960" in cells
    # The reward is the accuracy here, and is not said twice; mean and last input were not two.
    assert "ideal reward" not in cells
    assert "OOD r² | 24 | 1.000 | 0.976 | 0.976 | 0.976 | – | –" in cells


def test_a_study_without_a_finished_network_says_so(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    drawn(lambda: pytest.fail("there is nothing to draw"))
    text = page(tmp_path, study(), there=lambda labels: False).read()
    assert "No network of this study is finished yet." in text
    assert "0 of 15" in text
    assert "15 of 15 runs are not there yet" in text
    assert "N 24, seed 4" in text
    assert "no network yet" in text


def test_cells_that_diverged_failed_or_are_not_there_are_told_apart(
    tmp_path: Path, drawn: Callable[[Draw], None]
) -> None:
    mine = study()
    failed = mine.cells()[2].cell.id
    keep(tmp_path, mine, diverged=lambda labels: labels["seed"] == 0, there=lambda labels: labels["seed"] < 2)
    folder = tmp_path / "failures"
    folder.mkdir()
    attempt = {"when": "", "host": "", "kind": "KeyError", "traceback": "Traceback\n  in <module>\nKeyError: 'why'\n"}
    (folder / f"{failed}.json").write_text(json.dumps([attempt]))
    text = Page(html.write(tmp_path).read_text(encoding="utf-8")).read()
    assert "3 of 15 runs diverged in training" in text
    assert "1 of 15 runs failed" in text
    assert "N 2, seed 2 | KeyError: 'why'" in text
    assert "8 of 15 runs are not there yet" in text
    # One network of a setting is left: it has a value, and no interval.
    assert re.search(r"\b1 \| 0\.810 \| ", text)


def test_columns_that_no_network_has_are_named(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    mine = study(measures={"OOD r²": "decoding.value", "gone": "decoding.above_untrained"})
    found = page(
        tmp_path, mine, numbers=lambda labels: {"accuracy": 1.0, "decoding.value": numbers(labels)["accuracy"]}
    )
    assert "No network has gone (decoding.above_untrained)." in found.read("p")
    assert "0.900 [0.900, 0.900] | – | 5 | 0.900 [0.900, 0.900] | –" in found.read("td")


def test_what_cannot_be_judged_or_drawn_is_said_and_the_rest_stands(
    tmp_path: Path, drawn: Callable[[Draw], None]
) -> None:
    def broken() -> list[Drawn]:
        raise ValueError("figures[0] has no <x>")

    drawn(broken)
    claims = [{"text": "None", "measure": "OOD r^2", "expect": "> 0"}]
    found = page(tmp_path, study(claims=claims))
    assert "The claims cannot be tested: 'OOD r^2' is not a measure" in found.read("p")
    assert "The figures cannot be drawn: figures[0] has no <x>" in found.read("p")
    assert "Summary" in found.read("h3")


def test_settings_are_shared_or_vary(two: Page) -> None:
    cells = two.read("th", "td")
    assert "task.n_tasks | 2, 6, 24" in cells
    assert "task.encoder_seed | 0, 1, 2, 3, 4" in cells
    assert "task.sigma | 0.2" in cells
    assert "probes | decoding, decoding_course, sample_curve" in cells


def test_training_that_cells_share_is_paid_once(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    mine = study(axes={"trials": {n: {"n_trials": n} for n in (10, 20)}}, claims=(), seeds=1)
    keep(tmp_path, mine, numbers=lambda labels: {"accuracy": 0.5})
    for entry in mine.cells():
        path = path_of(tmp_path, entry.cell.id)
        cell = json.loads(path.read_text())
        cell["cost"] |= {"training_cpu_s": 100.0, "training_wall_s": 50.0, "training_host": ""}
        path.write_text(json.dumps(cell))
    cells = Page(html.write(tmp_path).read_text(encoding="utf-8")).read("th", "td")
    assert "training a network | CPU | 100 s | 100 s | 100 s | 100 s" in cells
    assert "together | CPU | 102 s" in cells


def test_headings_and_tables_are_such_that_they_can_be_heard(two: Page) -> None:
    assert two.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in two.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(header["scope"] in {"col", "row"} for header in two.all("th"))
    assert all(image["alt"] for image in two.all("img"))
    assert all(box["aria-label"] for box in two.all("div") if box.get("role"))


def test_studies_are_chosen_by_name(tmp_path: Path, drawn: Callable[[Draw], None]) -> None:
    with pytest.raises(ValueError, match="run a study first"):
        html.write(tmp_path)
    for name in ("many", "few"):
        keep(tmp_path, study(name=name, title=""))
    assert Page(html.write(tmp_path, ["many"]).read_text(encoding="utf-8")).read("h1") == "Report of 1 study"
    assert "How to read it | few | many" in Page(html.write(tmp_path).read_text(encoding="utf-8")).read("h2")
    with pytest.raises(ValueError, match=r"'manny' is not a study of .*; did you mean 'many'"):
        html.write(tmp_path, ["manny"])


def test_addresses_of_papers_are_links() -> None:
    assert str(html.linked("see <arXiv:2407.11249>, doi:10.1/x")) == (
        'see &lt;<a href="https://arxiv.org/abs/2407.11249">arXiv:2407.11249</a>&gt;, doi:10.1/x'
    )
    assert 'href="https://doi.org/10.1038/s41-5_6"' in html.linked("(doi:10.1038/s41-5_6).")
