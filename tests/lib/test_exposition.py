"""Metrics as text, written and read: the rules of format 0.0.4 and of OpenMetrics 1.0."""

from __future__ import annotations

import math

import pytest

from meshtest.lib.exposition import (
    OPENMETRICS,
    TEXT,
    ExpositionError,
    Sample,
    line,
    matching,
    number,
    openmetrics,
    parse,
    parse_line,
    wanted,
)

EXAMPLE = r"""# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01",} 3102
rpc_duration_seconds_sum 1.7560473e+07
"""
"""Of the format's own documentation, with a trailing comma added, which is allowed."""


class TestReading:
    def test_the_example_of_the_formats_documentation(self) -> None:
        found = list(parse(EXAMPLE))
        assert found[0] == Sample("http_requests_total", {"method": "post", "code": "200"}, 1027.0, 1395066363.0)
        assert found[2].labels == {"path": "C:\\DIR\\FILE.TXT", "error": 'Cannot find file:\n"FILE.TXT"'}
        assert found[3] == Sample("metric_without_timestamp_and_labels", {}, 12.47)
        assert found[4].value == math.inf
        assert found[5].labels == {"quantile": "0.01"}
        assert len(found) == 7

    def test_openmetrics_ends_with_its_mark_and_has_exemplars(self) -> None:
        text = '# TYPE a counter\na_total{x="1 # {"} 2.0 123.5 # {trace_id="KOO"} 0.67\na_created 1\n# EOF\nb 1\n'
        assert list(parse(text)) == [Sample("a_total", {"x": "1 # {"}, 2.0, 123.5), Sample("a_created", {}, 1.0)]

    @pytest.mark.parametrize("value", ["NaN", "Nan", "nan"])
    def test_not_a_number_is_a_value(self, value: str) -> None:
        assert math.isnan(parse_line(f"a {value}").value)

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("a 1\n{b} 2", r"line 2: a metric's name was expected: '\{b\} 2'"),
            ('a{b="1" 1', 'line 1: a label like name="value" was expected'),
            ("a{b=1} 1", "line 1: a label"),
            ('a{b="1}', "line 1: a label"),
            ("a", "line 1: a value was expected after 'a'"),
            ("a one", "line 1: 'one' is no value"),
            ("a 1 2 3", "line 1: a value was expected"),
            ("<html>", "line 1: a metric's name"),
        ],
    )
    def test_what_is_not_in_the_format_is_told_with_its_line(self, text: str, what: str) -> None:
        with pytest.raises(ExpositionError, match=what):
            list(parse(text))

    def test_an_empty_label_is_one_that_is_not_there(self) -> None:
        samples = [Sample("a", {"x": "1"}, 1.0), Sample("a", {"x": "1", "y": ""}, 2.0), Sample("a", {"y": "2"}, 3.0)]
        assert [s.value for s in matching(samples, {"y": ""})] == [1.0, 2.0]
        assert [s.value for s in matching(samples, {"x": ""})] == [3.0]


class TestWriting:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(5, "5"), (0.5, "0.5"), (1e300, "1e+300"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (3600000.0, "3600000")],
    )
    def test_numbers(self, value: float, text: str) -> None:
        assert number(value) == text
        assert float(text) == value

    def test_what_is_written_is_read_again(self) -> None:
        for sample in (
            Sample("a", {}, 1.5),
            Sample("a:b_c", {"path": 'C:\\x "y"\nz', "empty": ""}, math.inf, 1395066363.125),
        ):
            assert parse_line(line(sample).rstrip("\n")) == sample


class TestOpenMetrics:
    def test_a_counters_family_has_no_suffix_and_there_is_an_end(self) -> None:
        text = (
            '# TYPE a_total counter\na_total{x="1"} 2\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
        )
        assert openmetrics(text) == text.replace("# TYPE a_total", "# TYPE a") + "# EOF\n"

    def test_what_it_does_not_know_becomes_what_it_does(self) -> None:
        assert openmetrics(EXAMPLE).splitlines() == [
            "# HELP http_requests The total number of HTTP requests.",
            "# TYPE http_requests counter",
            'http_requests_total{method="post",code="200"} 1027 1395066363.000',
            'http_requests_total{method="post",code="400"} 3 1395066363.000',
            r'msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} '
            "1.458255915e9",
            "metric_without_timestamp_and_labels 12.47",
            'something_weird{problem="division by zero"} +Inf -3982.045',
            "# TYPE rpc_duration_seconds summary",
            'rpc_duration_seconds{quantile="0.01",} 3102',
            "rpc_duration_seconds_sum 1.7560473e+07",
            "# EOF",
        ]

    def test_a_label_that_looks_like_the_end_of_a_line_is_none(self) -> None:
        assert openmetrics('a{x="} 5 6"} 1\n') == 'a{x="} 5 6"} 1\n# EOF\n'

    def test_counters_that_are_not_named_so_are_unknown(self) -> None:
        assert "# TYPE hits unknown\nhits 3\n" in openmetrics("# TYPE hits counter\nhits 3\n")
        assert "# TYPE x unknown\n" in openmetrics("# TYPE x untyped\nx 3\n")


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; q=0.5, text/plain; q=0.9", TEXT),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text; q=0", TEXT),
        ("text/html, */*; q=nonsense", TEXT),
    ],
)
def test_the_format_is_the_one_asked_for(accept: str, kind: str) -> None:
    assert wanted(accept) == kind
