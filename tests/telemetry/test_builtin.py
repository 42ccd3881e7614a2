"""Success rates and durations of records made by hand: who reports decides what is seen."""

from __future__ import annotations

from math import inf

import pytest

from meshtest.errors import UsageError
from meshtest.model.history import Event
from meshtest.model.request import UNKNOWN_SERVER, Fate
from meshtest.model.series import NO_DATA, NoDataFound
from meshtest.telemetry.builtin import count, duration, success_rate, window
from tests.checks.histories import V1, V2, every, history, hop, request

LOAD = Event(0.0, "load.start", "load", {"request": "GET http://web/"})


class TestAsTheUserSawIt:
    def test_a_5xx_and_a_lost_request_have_failed(self) -> None:
        requests = [request(0, 0.0), request(1, 0.1, status=503), request(2, 0.2, fate=Fate.RESET), request(3, 0.3)]
        assert success_rate(history(requests, [LOAD]), "web") == 50

    def test_by_version(self) -> None:
        seen = history([request(0, 0.0), request(1, 0.1, V2, status=500), request(2, 0.2, V2)], [LOAD])
        assert success_rate(seen, "web", "v1") == 100
        assert success_rate(seen, "web", "v2") == 50

    def test_a_lost_request_counts_for_the_version_that_its_proxy_chose(self) -> None:
        lost = hop(0, 0.0, V2, status=503, flags="UF")
        seen = history([request(0, 0.0, fate=Fate.RESET)], [LOAD], [lost])
        assert success_rate(seen, "web", "v2") == 0
        assert success_rate(seen, "web", "v1") == NO_DATA

    def test_what_no_one_answered_counts_for_the_host_that_was_asked(self) -> None:
        targets = [{"request": "GET http://web:80/a"}, {"request": "GET http://shop/b"}]
        started = Event(0.0, "load.start", "load", {"request": "GET http://web:80/a", "targets": targets})
        seen = history([request(i, i / 10, fate=Fate.REFUSED, target=i % 2) for i in range(4)], [started])
        assert (count(seen, "web"), count(seen, "shop")) == (2, 2)

    def test_durations_are_exact_and_a_lost_request_is_infinitely_slow(self) -> None:
        requests = [request(i, i / 100, latency=(i + 1) / 1000) for i in range(100)]
        seen = history(requests, [LOAD])
        assert duration(seen, "web", 0.5) == pytest.approx(0.050)
        assert duration(seen, "web") == pytest.approx(0.099)
        lost = history([*requests[:97], *(request(i, i / 100, fate=Fate.TIMEOUT) for i in (97, 98, 99))], [LOAD])
        assert duration(lost, "web") == inf

    def test_a_quantile_is_between_0_and_1(self) -> None:
        with pytest.raises(UsageError, match=r"p=99 is no quantile; 0\.99"):
            duration(history(), "web", 99)


class TestAsProxiesSawIt:
    def test_a_request_that_never_reached_a_pod_is_hidden_from_the_destination(self) -> None:
        hops = [hop(0, 0.0, V2), hop(0, 0.0, V2, "inbound"), hop(1, 0.1, UNKNOWN_SERVER, status=503, flags="UH")]
        seen = history(hops=hops)
        assert success_rate(seen, "web", reporter="source") == 50
        assert success_rate(seen, "web", reporter="destination") == 100

    def test_a_status_of_0_is_no_5xx(self) -> None:
        """As `response_code!~"5.*"` counts it."""
        seen = history(hops=[hop(0, 0.0, V1, "inbound", status=0), hop(1, 0.1, V1, "inbound", status=500)])
        assert success_rate(seen, "web", reporter="destination") == 50

    def test_durations_are_those_of_the_proxies(self) -> None:
        seen = history(hops=[hop(i, i / 10, V1, "inbound", seconds=i / 1000) for i in range(1, 11)])
        assert duration(seen, "web", 0.9, reporter="destination") == pytest.approx(0.009)

    def test_other_services_do_not_count(self) -> None:
        seen = history(hops=[hop(0, 0.0, V1, "inbound")])
        assert success_rate(seen, "we", reporter="destination") == NO_DATA

    def test_who_reports_is_one_of_three(self) -> None:
        with pytest.raises(UsageError, match="reporter='dest' is none of user, source, destination"):
            success_rate(history(), "web", reporter="dest")  # type: ignore[arg-type]


class TestNoData:
    def test_it_says_who_saw_some(self) -> None:
        seen = history(every(0.1, [V1] * 3), [LOAD])
        with pytest.raises(NoDataFound, match=r"no request reached a pod of web \(3 by user\)"):
            assert success_rate(seen, "web", reporter="destination") > 99

    def test_a_version_without_requests_has_no_rate(self) -> None:
        with pytest.raises(NoDataFound, match="no request of a load was for web@v2"):
            assert success_rate(history(every(0.1, [V1] * 3)), "web", "v2") == 0


class TestWindows:
    def test_the_last_seconds(self) -> None:
        seen = history([request(i, i / 10, status=500 if i < 5 else 200) for i in range(10)], [LOAD])
        assert success_rate(window(seen, None, 1.0), "web") == 50
        assert success_rate(window(seen, 0.5, 1.0), "web") == 100
        assert success_rate(window(seen, 5, 20.0), "web") == NO_DATA

    def test_a_window_is_longer_than_nothing(self) -> None:
        with pytest.raises(UsageError, match="seconds=0: a window is longer than nothing"):
            window(history(), 0, 1.0)
