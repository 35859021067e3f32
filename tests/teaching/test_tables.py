"""Tables of a chapter: what a narrow page needs to show a row as a card."""

from minideeptalk.teaching.tables import Table


def test_each_cell_says_which_column_it_is_of():
    shown = Table(("skill", "right"), [("add", "9")], "Skills")._repr_html_()
    assert '<td role="cell" data-column="right">9</td>' in shown
    assert '<th scope="row" role="rowheader">add</th>' in shown


def test_a_number_as_the_head_of_a_row_says_what_it_counts():
    shown = Table(("penalty", "right"), [("1.1", "9")], "Penalties")._repr_html_()
    assert '<th scope="row" role="rowheader" data-column="penalty">1.1</th>' in shown


def test_an_empty_cell_is_left_out_of_a_card():
    shown = Table(("part", "moved by", "kept"), [("nothing", "", "9")], "Parts")._repr_html_()
    assert '<td role="cell" data-column="moved by" class="empty"></td>' in shown
