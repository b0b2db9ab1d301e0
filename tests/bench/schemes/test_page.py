"""The page is one file, needs nothing else, and is the same for the same rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from secure_fl.bench.schemes.benchmark import Benchmark
from secure_fl.bench.schemes.page import list_sizes, render
from secure_fl.bench.schemes.rows import Row


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_page_loads_nothing(benchmark_of_rows: Benchmark) -> None:
    page, links = render(benchmark_of_rows), _Links()
    links.feed(page)
    assert not links.tags & {"script", "link", "img", "iframe"}
    assert all(target.startswith("#") for target in links.targets)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", page)


@pytest.mark.slow
def test_the_same_benchmark_gives_the_same_page(benchmark_of_rows: Benchmark) -> None:
    assert render(benchmark_of_rows) == render(benchmark_of_rows)


def test_the_page_says_everything_and_escapes_it(benchmark_of_rows: Benchmark) -> None:
    page = render(benchmark_of_rows)
    for text in ("secure-fl bench --banks 3,30", "a test", "NVFlare HE", "a &lt;sum&gt; does not fit", "too few"):
        assert text in page, text
    assert "not installed: pip install it" in page
    assert "Server against banks, 1,000 parameters" in page


def test_without_varying_sizes_there_are_no_curves(benchmark_of_rows: Benchmark) -> None:
    page = render(replace(benchmark_of_rows, rows=benchmark_of_rows.rows[:1], dropouts=()))
    assert "<svg" not in page
    assert "Banks that vanish" not in page


def test_sections_are_numbered_without_gaps(benchmark_of_rows: Benchmark) -> None:
    for benchmark in (benchmark_of_rows, replace(benchmark_of_rows, rows=benchmark_of_rows.rows[:1], dropouts=())):
        page = render(benchmark)
        numbers = [int(number) for number in re.findall(r'<span class="number"[^>]*>(\d+)</span>', page)]
        assert numbers == list(range(1, page.count("<section") + 1))
        assert page.partition("</nav>")[0].count("<li>") == len(numbers)


def test_the_longest_bar_is_whole(benchmark_of_rows: Benchmark) -> None:
    three_banks = list_sizes(benchmark_of_rows.rows)[0]
    client = three_banks.charts[0]
    assert {bar.name: bar.percent for bar in client.bars} == {
        "masked 8-bit": 2,
        "plaintext 8-bit": 2,
        "NVFlare HE": 100,
    }
    assert [bar.kind for bar in client.bars] == ["ours", "plain", "peer"]
    assert len(three_banks.missing) == 2


def test_every_figure_stands_under_its_name(make_row: Callable[..., Row]) -> None:
    figures = {
        "client_seconds": 0.011,
        "server_seconds": 0.022,
        "decode_seconds": 0.033,
        "upload_bytes": 44_000,
        "download_bytes": 55_000,
        "max_abs_error": 6.6e-6,
    }
    rounds = {"10Mbps": 9.0, "100Mbps": 0.77, "1Gbps": 0.5}
    row = replace(make_row(**figures), round_seconds_at=rounds)
    page = render(Benchmark((row,), (), "", {"processor": "a test"}))
    table = page.partition('<table class="numbers">')[2].partition("</table>")[0]
    names = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)
    cells = re.findall(r'<th scope="row">(.*?)</th>', table) + re.findall(r"<td>(.*?)</td>", table)
    assert dict(zip(names, cells, strict=True)) == {
        "Scheme": "masked 8-bit",
        "Client": "11 ms",
        "Server": "22 ms",
        "Decode": "33 ms",
        "Upload": "44.0 kB",
        "Bytes a parameter": "44.00",
        "Times the floor": "36.74",
        "Download": "55.0 kB",
        "Round at 10Mbps": "9 s",
        "Round at 100Mbps": "770 ms",
        "Round at 1Gbps": "500 ms",
        "Largest error": "6.6 × 10⁻⁶",
        "Peak memory": "50.0 MB",
    }
    bars = {chart.title.partition(":")[0]: chart.bars[0].value for chart in list_sizes((row,))[0].charts}
    assert bars == {"Client": "11 ms", "Server": "22 ms", "Decode": "33 ms", "Upload of one bank": "44.0 kB"}


def test_the_floor_is_as_many_bits_as_the_sum_has(make_row: Callable[..., Row]) -> None:
    """3 banks of 8 bits: 766 sums, 9.58 bits. Values that travel in the clear are narrower than their sum."""
    masked, clear = make_row(upload_bytes=1250), make_row("plaintext", upload_bytes=1000)
    assert masked.floor_bytes == pytest.approx(1000 * math.log2(766) / 8)
    assert masked.times_floor == pytest.approx(10 / math.log2(766))
    assert clear.floor_bytes is clear.times_floor is replace(masked, bits="float32").floor_bytes is None
    *_, upload = list_sizes((masked, clear))[0].charts
    assert [bar.floor for bar in upload.bars] == [pytest.approx(95.81, abs=0.01), None]
    assert {bar.floor for chart in list_sizes((masked,))[0].charts[:-1] for bar in chart.bars} == {None}


def test_the_floor_is_drawn_and_explained_where_there_is_one(make_row: Callable[..., Row]) -> None:
    pages = [render(Benchmark((row,), (), "", {"processor": "a"})) for row in (make_row(), make_row("plaintext"))]
    for text in ('<span class="floor" style="left:', "<dt>Floor</dt>", "floor of an upload"):
        assert [text in page for page in pages] == [True, False], text
