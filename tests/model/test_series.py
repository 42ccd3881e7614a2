"""No data is no number: it compares with none, and says why; answers of one series compare as their number."""

from __future__ import annotations

import operator

import pytest

from meshtest.errors import UsageError
from meshtest.model.series import NO_DATA, Matrix, NoData, NoDataFound, Sample, Series, Vector

NOTHING = NoData("no request was sent")


def vector(*values: float | NoData, why: str = "") -> Vector:
    return Vector([Sample({"version": f"v{i}"}, value, 1.0) for i, value in enumerate(values, 1)], why=why)


class TestNoData:
    @pytest.mark.parametrize("relation", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
    @pytest.mark.parametrize("number", [0, 0.0, 99.9])
    def test_compared_with_a_number_it_says_why_there_is_none(self, relation: object, number: float) -> None:
        for left, right in ((NOTHING, number), (number, NOTHING)):
            with pytest.raises(NoDataFound, match="no request was sent"):
                relation(left, right)  # type: ignore[operator]

    def test_that_is_a_failed_assertion(self) -> None:
        assert issubclass(NoDataFound, AssertionError)

    def test_it_can_be_asked_for(self) -> None:
        assert NOTHING == NO_DATA
        assert (NOTHING != NO_DATA) is False
        assert NO_DATA != 0.0
        assert NO_DATA != 5.0

    def test_it_is_neither_true_nor_false(self) -> None:
        with pytest.raises(TypeError, match="neither true nor false"):
            assert not NOTHING

    def test_reckoning_with_it_remains_without_data(self) -> None:
        assert 1.2 * NOTHING - 3 == NO_DATA
        with pytest.raises(NoDataFound, match="no request was sent"):
            assert 1.2 * NOTHING > 5

    def test_approx_does_not_hide_it(self) -> None:
        with pytest.raises(NoDataFound):
            assert pytest.approx(0.0) == NOTHING


class TestVector:
    def test_one_series_compares_as_its_number(self) -> None:
        assert vector(5) == 5
        assert vector(5) > 4.5
        assert vector(5) <= vector(5)
        assert vector(5) != 6
        assert float(vector(5)) == 5

    def test_without_series_it_is_no_data(self) -> None:
        empty = vector(why="no series is called up")
        assert empty == NO_DATA
        assert empty.last == NO_DATA
        with pytest.raises(NoDataFound, match="no series is called up"):
            assert empty == 0
        assert repr(empty) == "NO DATA (no series is called up)"

    def test_a_sample_that_is_no_number_is_no_data(self) -> None:
        assert vector(NOTHING) == NO_DATA
        assert vector(NOTHING, 1) != NO_DATA
        with pytest.raises(NoDataFound, match="no request"):
            assert vector(NOTHING) < 5

    def test_several_are_no_single_number(self) -> None:
        with pytest.raises(UsageError, match=r'2 series are no single number: \{version="v1"\} 1; \{version="v2"\} 2'):
            assert vector(1, 2) > 0

    def test_they_are_told_apart_by_a_label(self) -> None:
        assert vector(1, 2).by("version") == {"v1": 1, "v2": 2}
        assert vector(1, 2).where(version="v2") == 2
        with pytest.raises(NoDataFound, match='none of 2 series has version="v3"'):
            assert vector(1, 2).where(version="v3") == 0
        with pytest.raises(UsageError, match='several series have job=""'):
            vector(1, 2).by("job")

    def test_it_is_a_sequence_and_not_a_truth(self) -> None:
        assert [sample.value for sample in vector(1, 2)] == [1, 2]
        assert len(vector()) == 0
        with pytest.raises(TypeError, match="neither true nor false"):
            assert vector(1)

    def test_the_last_is_the_one_that_flagger_takes(self) -> None:
        assert vector(1, 2).last == 2


class TestMatrix:
    def test_values_and_points(self) -> None:
        one = Series({"version": "v1"}, ((0.0, 1.0), (1.0, NoData("NaN")), (2.0, 3.0)))
        assert Matrix([one]).points[2] == (2.0, 3.0)
        assert Matrix([one]).values == [1.0, 3.0]
        assert Matrix([one]).by("version")["v1"].values == [1.0, 3.0]

    def test_without_series_it_is_no_data(self) -> None:
        empty = Matrix([], why="nothing")
        assert empty == NO_DATA
        with pytest.raises(NoDataFound, match="nothing"):
            _ = empty.points
