"""Tables in a terminal fit its width, and no word is ever cut."""

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cnitrail.cli.terminal import Terminal, screen
from cnitrail.render.text import Table, draw, width_of

ROWS = [
    (
        [("2026-05-19", "dim"), ("11:02:04", "")],
        [("DeleteNetworkInterface FAILED", "bold")],
        [("eni-0e9b2", "")],
    )
]
TABLE = Table(("TIME", "API CALL", "ENI"), ROWS, {"API CALL": 1})
WORDS = st.text("abc-1", min_size=1, max_size=30)
CELLS = st.lists(st.tuples(st.lists(WORDS, max_size=4).map(" ".join), st.just("")), max_size=3)


def drawn(table: Table, width: int) -> str:
    out = StringIO()
    terminal = Terminal(out, Console(file=out, width=width, force_terminal=True, color_system=None))
    terminal.draw(table)
    return out.getvalue()


class TestTables:
    def test_a_wide_terminal_shows_columns_side_by_side(self) -> None:
        assert [line.split() for line in drawn(TABLE, 60).splitlines()] == [
            ["TIME", "API", "CALL", "ENI"],
            ["─" * 54],
            ["2026-05-19", "DeleteNetworkInterface", "FAILED", "eni-0e9b2"],
            ["11:02:04"],
        ]

    def test_a_column_with_a_share_is_folded_between_words(self) -> None:
        lines = drawn(TABLE, 54).splitlines()
        assert [line.split() for line in lines[2:]] == [
            ["2026-05-19", "DeleteNetworkInterface", "eni-0e9b2"],
            ["11:02:04", "FAILED"],
        ]

    def test_a_narrow_terminal_shows_the_cells_of_a_row_below_each_other(self) -> None:
        assert drawn(TABLE, 40) == (
            "TIME      2026-05-19\n"
            "          11:02:04\n"
            "API CALL  DeleteNetworkInterface FAILED\n"
            "ENI       eni-0e9b2\n"
        )

    @given(
        st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=3),
        st.integers(10, 120),
        st.sets(st.sampled_from("AB")),
    )
    def test_no_word_is_cut_at_any_width(self, rows: list[object], width: int, shares: set[str]) -> None:
        table = Table(("A", "B", "C"), rows, dict.fromkeys(shares, 1))  # type: ignore[arg-type]
        shown = drawn(table, width).split()
        words = [word for row in table.rows for cell in row for text, _ in cell for word in text.split()]
        assert sorted(set(words) - set(shown)) == []


class TestOutputs:
    def test_output_to_a_file_is_not_changed(self) -> None:
        out = StringIO()
        assert screen(out) is out
        assert width_of(out) == 100

    def test_a_terminal_has_a_width(self) -> None:
        out = StringIO()
        terminal = Terminal(out, Console(file=out, width=72, force_terminal=True))
        assert width_of(terminal) == 72  # type: ignore[arg-type]

    def test_piped_output_is_uncut_with_one_line_per_row(self) -> None:
        out = StringIO()
        draw(TABLE, out)
        assert out.getvalue() == (
            "TIME                 API CALL                       ENI\n"
            "2026-05-19 11:02:04  DeleteNetworkInterface FAILED  eni-0e9b2\n"
        )
