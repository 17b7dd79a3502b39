"""Tables as text, Markdown, LaTeX and CSV."""

import csv
import io

from eval.show.formats import Table, as_csv, as_latex, as_markdown, as_text, letters

PLAIN = Table("a title", ("run", "p"), (("one", "0.5"), ("two", "0.25")), ("a note",))


def test_a_table_that_fits_is_as_it_is():
    assert as_text(PLAIN) == "a title\nrun  p\none  0.5\ntwo  0.25\na note"


def test_columns_that_do_not_fit_continue_below_under_the_first_one():
    table = Table("t", ("run", "1st", "2nd", "3rd"), (("one", "0.1234", "0.2345", "0.3456"),))
    # 3 + 2 + 6 + 2 + 6 = 19 columns hold two numbers beside the run, not three
    assert as_text(table, 19) == "t\nrun  1st     2nd\none  0.1234  0.2345\n\nrun  3rd\none  0.3456"


def test_a_long_cell_is_written_out_below():
    long = "runs/" + "x" * 90
    text = as_text(Table("t", ("run", "key"), ((long, "1"), ("two", long))))
    assert text.splitlines()[1:4] == ["run  key", "[a]  1", "two  [a]"] and f"[a] {long}" == " ".join(
        text.splitlines()[4:]
    )


def test_nothing_is_lost_in_a_hundred_columns():
    numbers = tuple(f"0.{n:02d} [.12, .34] ({n} missing: >= .93)" for n in range(40))
    text = as_text(Table("t" * 150, ("run", *map(str, range(40))), (("r" * 130, *numbers),)))
    assert max(map(len, text.splitlines())) <= 100
    assert all(number in " ".join(text.split()) for number in numbers) and text.replace("\n", "").count("r" * 90)


def test_letters():
    assert [letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["a", "z", "aa", "az", "ba", "zz", "aaa"]


def test_markdown_escapes_what_it_would_read():
    table = Table("a_b", ("|x|", ""), (("<b>*no*</b>", "[1, 2]"), ("line\nbreak", "`\\`")))
    assert as_markdown(table).splitlines() == [
        "**a\\_b**",
        "",
        "| \\|x\\| |  |",
        "| --- | --- |",
        "| &lt;b&gt;\\*no\\*&lt;/b&gt; | \\[1, 2\\] |",
        "| line break | \\`\\\\\\` |",
    ]


def test_latex_escapes_what_it_would_read():
    latex = as_latex(Table("50 % & more", ("a_b", "$c$"), ((r"\input{x}", "#1 ~^"),), ("note",)))
    assert latex.splitlines() == [
        r"\begin{table}",
        r"\caption{50 \% \& more. note}",
        r"\begin{tabular}{ll}",
        r"\hline",
        r"a\_b & \$c\$ \\",
        r"\hline",
        r"\textbackslash{}input\{x\} & \#1 \textasciitilde{}\textasciicircum{} \\",
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_a_line_of_latex_never_begins_with_an_argument_of_the_one_before():
    lines = as_latex(Table("t", ("a",), (("[1]",), ("*",), ("b[1]",)))).splitlines()
    assert lines[6:9] == [r"{}[1] \\", r"{}* \\", r"b[1] \\"]


def test_csv_is_read_back_with_every_digit():
    rows = [{"run": 'a "quoted", name', "p": 1 / 3}, {"run": "two\nlines", "p": None, "more": 1e-12}]
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["run"] for row in read] == [row["run"] for row in rows]
    assert (
        float(read[0]["p"]) == 1 / 3 and float(read[1]["more"]) == 1e-12 and (read[1]["p"], read[0]["more"]) == ("", "")
    )
