"""Minimum quality of the answers on ordinary days; ``benchmarks/truth.py`` measures more."""

from pathlib import Path

from truth_figures import Figures, busy_day, figures, quiet_days


class TestBusyDay:
    def test_is_answered_correctly_and_mostly_with_certainty(self, tmp_path: Path) -> None:
        found = figures(busy_day(1), tmp_path, asked=3000, moments=30)
        assert found.determinable > 1500
        assert found.share_right >= 0.999
        assert found.share_certain >= 0.6
        assert found.wrong_certain == 0

    def test_is_answered_correctly_if_the_logs_begin_after_three_hours(self, tmp_path: Path) -> None:
        found = figures(busy_day(1, begin=3 * 3600), tmp_path, asked=3000, moments=30)
        assert found.determinable > 300
        assert found.share_right >= 0.999
        assert found.wrong_certain == 0

    def test_gets_no_wrong_certain_answer_if_files_are_torn(self, tmp_path: Path) -> None:
        found = [
            figures(busy_day(seed, 12 * 3600), tmp_path, asked=3000, moments=20, torn=0.05, seed=seed)
            for seed in range(4)
        ]
        assert [day.wrong_certain for day in found] == [0, 0, 0, 0]


class TestQuietAccount:
    def found(self, place: Path, torn: float = 0) -> Figures:
        return figures(quiet_days(1), place, asked=3000, moments=60, torn=torn)

    def test_is_answered_correctly_and_sometimes_with_certainty(self, tmp_path: Path) -> None:
        found = self.found(tmp_path)
        assert found.determinable > 1500
        assert found.share_right >= 0.999
        assert found.share_certain >= 0.2
        assert found.wrong_certain == 0

    def test_gets_no_wrong_certain_answer_if_files_are_torn(self, tmp_path: Path) -> None:
        assert self.found(tmp_path, torn=0.05).wrong_certain == 0
