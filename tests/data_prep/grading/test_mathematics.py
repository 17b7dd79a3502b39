"""Mathematics: what counts as equal, and that both ways to a verdict agree."""

from __future__ import annotations

import pytest

from data_prep.grading.grade import grade_all
from data_prep.grading.mathematics import ANSWER_NOT_READ, NOT_READ, by_algebra, by_rule, read_answer, settle
from data_prep.grading.pool import GradingPool
from data_prep.grading.units import units_differ

EQUAL = [  # (answer in the box, gold)
    (r"\frac{1}{2}", "0.5"),
    (r"\dfrac{1}{2}", r"\frac12"),
    ("x^2 + 2x + 1", "(x+1)^2"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\{1, 2\}", r"\{2,1\}"),
    ("1 and -2", "-2, 1"),
    ("x = 5", "5"),
    ("5", "x=5"),
    ("7.0", "7"),
    ("07", "7"),
    (r"\text{East}", r"\text{east}"),
    ("True", "true"),
    ("C", r"\text{(C)}"),
    (r"10\,080", r"10,\!080"),
    ("10080", "10,080"),
    (r"\left(2, \infty\right)", r"(2,\infty)"),
    (r"2 \le x \le 7", "[2,7]"),
    (r"2 < x \leq 7", "(2,7]"),
    (r"(3,\infty) \cup (-\infty,2)", r"(-\infty,2)\cup(3,\infty)"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"3 + \sqrt2, 3 - \sqrt2", r"3 \pm \sqrt{2}"),
    *[
        (answer, "5")
        for answer in (
            "5 cm",
            r"5\text{ cm}",
            r"5 \text{ cm}^2",
            r"5\,\mathrm{cm}",
            "5 dollars",
            "5th",
            r"5^{\mathrm{th}} \text{ grade}",
            "5°",
            r"5^\circ",
            r"\$5",
            r"5\%",
            "5 degrees",
        )
    ],
    *[("5", gold) for gold in (r"5\text{ cm}", "5 cm", r"5^\circ", r"\$5", r"5\%", r"5 \mbox{ inches}^2")],
    (r"5\text{ cm}", r"5 \mbox{ centimeters}"),
    (r"5 \text{ percent}", r"5\%"),
    ("0.5", r"50\%"),
    (r"50\%", r"\frac{1}{2}"),
]
DIFFERENT = [
    (r"[2,\infty)", r"(2,\infty)"),
    (r"2 < x < 7", "[2,7]"),
    ("(3,2)", "(2,3)"),
    ("2,3", "2,3,4"),
    ("0.333", r"\frac{1}{3}"),
    ("3.14159", r"\pi"),
    ("3.1415927", r"\pi + 10^{-6}"),
    ("0.5", "50"),
    (r"5\text{ m}", r"5\text{ cm}"),
    (r"5 \text{ cents}", r"\$5"),
    ("-5", "5"),
    ("west", "east"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("x", "y"),
    ("2 3", "23"),
]


@pytest.mark.parametrize(
    ("answer", "gold", "equal"), [(*pair, True) for pair in EQUAL] + [(*pair, False) for pair in DIFFERENT]
)
def test_math(answer: str, gold: str, equal: bool, pool: GradingPool) -> None:
    (grade,) = grade_all([f"so \\boxed{{{answer}}}."], [gold], "math", pool)
    assert grade.correct is equal, grade
    assert grade.extracted


KINDS = {  # kind: (gold, right answers in a box, near misses in a box)
    "tiny": (r"\frac{1}{7^{60}}", ["7^{-60}", r"\left(\frac{1}{7}\right)^{60}"], ["7^{-61}", "0", r"\frac{2}{7^{60}}"]),
    "powers of ten": ("4.2e-31", [r"4.2 \times 10^{-31}", "4.2E-31", "0.42e-30"], ["4.2e-30", "4.3e-31", "0", "4.2"]),
    "huge": ("3 \\cdot 10^{21}", ["3e21", "3000000000000000000000"], ["3000000000000000000001", "3e20"]),
    "integers": ("76543210987654321", ["76,543,210,987,654,321"], ["76543210987654322", "76543210987654321.5"]),
    "rounded": (r"\frac{5}{7}", ["0.714286", "0.7142857", "5/7"], ["0.714285", "0.7143", "0.71"]),
    "bases": ("212_3", [r"212_{3}", "212", r"212_{\text{three}}", "212₃"], ["212_4", "23", "211_3", "212_{10}"]),
    "ellipsis": (
        r"3, 6, \ldots, 3n",
        [r"3,6,\dots,3n", "3, 6, ..., 3n", "3，6，…，3n"],
        ["3,6,3n", r"3,6,\ldots,3m", "3,6"],
    ),
    "residues": (r"4 \pmod{9}", [r"x \equiv 4 \pmod 9", r"13 \pmod 9", "4"], [r"4 \pmod 8", r"5 \pmod 9", "13"]),
    "complex": ("5-i", ["5-1i", "5 - 1.0i", "-i+5", r"\frac{10-2i}{2}"], ["5+1i", "5-j", "5"]),
    "empty set": (r"\emptyset", ["∅", r"\{\}", r"\text{empty set}", r"\text{No solution}"], [r"\{0\}", "0", r"\phi"]),
    "set": (r"\{2,5\}", ["5, 2", r"\{5, 2\}", "2 and 5"], [r"\emptyset", "2", r"\{2,5,7\}"]),
    "interval": ("[3,8)", [r"3 \le x < 8", "8 > t ≥ 3", r"x \ge 3 \text{ and } x < 8"], ["3<x<8", "(3,8)", r"x \ge 3"]),
    "inequality": (r"x \ge 6", [r"[6,\infty)", "6 ≤ x", r"x \geqslant 6"], ["x>6", r"y \ge 6", "6", r"[6,7)"]),
    "union": (
        r"(-\infty,2)\cup(9,\infty)",
        [r"x<2 \text{ or } x>9", "x > 9 or x < 2"],
        ["2<x<9", r"x<2 \text{ or } x \ge 9"],
    ),
    "short hands": (
        r"\frac{\sqrt{23}}{4}",
        [r"\frac{\sqrt23}4", r"\sqrt{23}/4", "√23/4"],
        [r"\frac{\sqrt{2}3}{4}", r"\sqrt{\frac{23}{4}}"],
    ),
    "full width": ("(4,-7)", ["（4，-7）", "（４，−７）", "(4, –7)"], ["（4，7）", "（-7，4）"]),
    "fractions": (r"\frac{3}{4}", ["¾", "3⁄4", "7５％"], ["¼", "34", "¾x"]),
    "powers": ("y^{3}", ["y³", "y^3", "y**3"], ["y3", "3y", "y²"]),
    "groups": (
        "7650000",
        ["7 650 000", "7\u202f650\u202f000", "7~650~000", r"7\,650\,000", "7'650'000", "7.650.000"],
        ["7 650 001", "7, 650, 000", "7.65"],
    ),
    "decimal comma": ("2.75", ["2,75", "2{,}75"], ["2,57", "275", "2, 7, 5"]),
    "list": ("2,75", ["75, 2"], ["2.75", "275"]),
    "money": (r"\$48", ["48", "US$48", "48 dollars", r"48\text{ USD}", "＄48"], ["€48", "48 cents", "48元", "84"]),
    "units": (
        "48",
        ["€48", "￥48", "48円", "48 км", "48 km/h", r"48\text{ m/s}", "48 red apples", "48 °C"],
        ["48x", "48m", "48 or 49", "48 more than y"],
    ),
    "unit of the gold": (
        r"48\text{ km/h}",
        ["48", "48 kph", "48 kilometers per hour"],
        [r"48\text{ m/s}", r"48\text{ km}"],
    ),
    "multiples": ("6000000", ["6 million", "600万", "6 million people", "6 млн"], ["6", "6 thousand", "6 billion"]),
    "no multiples": ("6", ["6 people"], ["6 million", "6万", "6 dozen", "6 squared", "6 halves"]),
    "degrees": (
        r"\frac{\sqrt{3}}{2}",
        [r"\sin 60^\circ", r"\cos(30°)", r"\sin\left(60^{\circ}\right)"],
        [r"\sin 60", r"\sin 30^\circ", "60^\\circ"],
    ),
    "angle": ("60", ["60°", r"60^{\circ}", r"60 \text{ degrees}"], [r"\sin 60^\circ", "6°", r"\frac{\pi}{3}"]),
    "vector": (
        "(4,5,6)",
        [r"\langle 4,5,6\rangle", r"\begin{pmatrix}4\\5\\6\end{pmatrix}"],
        ["(6,5,4)", "(4,5)", r"\langle 4,5,7\rangle"],
    ),
    "modulus": ("|z|", [r"\lvert z\rvert", r"\left|z\right|"], ["z", "|w|"]),
    "words": (r"\text{no}", ["No", r"\text{no.}", r"\textbf{NO}"], ["yes", "on", r"\text{not}"]),
    "letters": (r"\text{north}", ["North"], ["thorn", r"\text{north east}"]),
    "named": ("y=14", ["14", "y = 14", r"y=\frac{28}{2}"], ["x=14", "y=41"]),
    "approximated": (
        r"\sqrt{6}",
        [r"\sqrt6 \approx 2.449", r"\sqrt{6}\approx 2.45"],
        [r"\sqrt5 \approx 2.449", "2.449"],
    ),
    "labelled": (
        "6",
        [r"\text{Answer: }6", r"\text{The answer is 6}", r"\text{6 pears}"],
        [r"\text{Answer: }9", r"\text{answer}"],
    ),
    "named otherwise": (r"|v|=6", ["6", r"\lvert v\rvert = 6"], ["|v|=5", "|w|=6", "-6"]),
    "other money": ("6", ["₫6", "6 kr", "CHF 6", "6 zł", "6 บาท", "6 रुपये"], ["₫9", "6 a", "6 K people"]),
    "degrees of a letter": (r"\sin x^\circ", [r"\sin x^{\circ}"], [r"\sin x"]),
    "logarithm": (r"\log_{2} 5", [r"\log_2 5", r"\log_25"], [r"\log_5 2", "25"]),
    "prime": ("f'", ["f'"], ["f", "f''"]),
    "transposed": ("A^T", ["A^{T}"], ["A", "AT"]),
    "beside each other": ("5", ["5.0"], ["2 3", r"2 \ 3", "5,"]),
    "ratio": ("3:4", ["3 : 4", "3/4"], ["4:3", "34"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str, pool: GradingPool) -> None:
    gold, right, wrong = KINDS[kind]
    grades = grade_all(
        [f"$\\boxed{{{answer}}}$" for answer in right + wrong], [gold] * len(right + wrong), "math", pool
    )
    judged = {answer: grade.correct for answer, grade in zip(right + wrong, grades, strict=True)}
    assert judged == dict.fromkeys(right, True) | dict.fromkeys(wrong, False)


PROSE = [  # text, the gold answer that it gives, one that it does not
    ("20 % of $90,000, which makes $18,000.", "18000", "20"),
    ("M = 72,000 / 9 = 8,000. Thus, they have 8,000 coins.", "8000", "72000"),
    (r"\[ A = 21 - 6 = 15 \] Thus, he is 15 years old.", "15", "21"),
    ("The answer is not 6, it is 11.", "11", "6"),
    ("It isn't 6 but 11.", "11", "6"),
    ("The answer is 11, not 6.", "11", "6"),
    ("6 is not the answer. The answer is 11.", "11", "6"),
    ("La réponse est 11.", "11", "6"),
    ("Ответ: 11 рублей.", "11", "6"),
    ("答案不是６，而是１１。", "11", "6"),
    ("答えは11個です。", "11", "6"),
    ("The answer is 6. Wait, no: it is 11.", "11", "6"),
    ("The answer is 5/8.", r"\frac{5}{8}", "8"),
    ("It covers 11 cm^2.", "11", "2"),
    ("The answer is $x^2+3$.", "x^2+3", "x^2"),
    ("So $a=4$ and $b=7$.", "4, 7", "4"),
    ("The answer is Lisbon.", "Lisbon", "Porto"),
]


@pytest.mark.parametrize(("text", "gold", "other"), PROSE)
def test_answers_in_prose(text: str, gold: str, other: str, pool: GradingPool) -> None:
    assert [grade.correct for grade in grade_all([text, text], [gold, other], "math", pool)] == [True, False]


@pytest.mark.parametrize("text", ["The answer cannot be 6.", "The answer is x.", "H", "no number", r"\boxed{6"])
def test_no_answer_in_prose(text: str) -> None:
    grade = settle(text, "6")
    assert grade is not None and (grade.correct, grade.reason) == (False, "no answer")


def test_an_answer_that_is_not_read_whole_is_named(pool: GradingPool) -> None:
    grades = grade_all([r"\boxed{2x \text{ if } x>0}", r"\boxed{2x}"], ["2x", r"2x \text{ if } x>0"], "math", pool)
    assert [grade.reason for grade in grades] == ["the answer cannot be read", "the gold answer cannot be read"]
    assert grades[0].extracted == r"2x \text{ if } x>0"


@pytest.mark.parametrize(("answer", "gold"), EQUAL + DIFFERENT)
def test_rules_and_algebra_never_contradict_each_other(answer: str, gold: str) -> None:
    wanted, given = read_answer(gold), read_answer(answer)
    ruled = by_rule(wanted, given)
    equal, reason = by_algebra(wanted, given)
    assert (
        ruled is None
        or units_differ(wanted.unit, given.unit)
        or ruled is equal
        or reason in (NOT_READ, ANSWER_NOT_READ)
    )


def test_the_last_box_alone_is_read(pool: GradingPool) -> None:
    grades = grade_all(
        [r"\boxed{1} then \boxed{2}"] * 2 + ["answer 7", "", r"\boxed{", r"\boxed{4", r"\boxed{}"],
        ["2", "1", "7", "7", "7", "4", "7"],
        "math",
        pool,
    )
    assert [grade.correct for grade in grades] == [True, False, True, False, False, False, False]
    assert [grade.reason for grade in grades[3:]] == ["no answer"] * 4


def test_a_gold_answer_that_is_empty_is_named(pool: GradingPool) -> None:
    assert grade_all([r"\boxed{7}"], [" "], "math", pool)[0].reason == "the gold answer cannot be read"
