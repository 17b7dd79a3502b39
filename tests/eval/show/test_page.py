"""Pages: whole, escaped, and with one script that a policy knows by its hash."""

import base64
import hashlib
import re

from eval.show.contents import Section
from eval.show.page import render
from eval.show.sections import Table

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & &lt; \u202e \x00"


def a_page(*sections, name="a name"):
    return render("report.html.j2", name=name, sections=sections, lead=None, verdict=None, standing=[])


def test_the_only_script_is_the_one_of_the_policy():
    page = a_page(Section("Recipe", text=EVIL))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_text_of_others_is_escaped_wherever_it_stands():
    section = Section(EVIL, (EVIL,), (), {EVIL: Table([EVIL], [[EVIL, EVIL], ["1", EVIL]], [[EVIL]])}, EVIL)
    page = a_page(section, name=EVIL)
    assert page.count("<script") == 1 and "<img" not in page and "\u202e" not in page and "\x00" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&amp;lt; \\u202e \\x00" in page


def test_half_a_character_does_not_stop_a_page():
    assert "\\ud83d" in a_page(Section("Recipe", text="\ud83d"))


def test_empty_sections_are_named_at_the_end():
    page = a_page(Section("Here", text="x"), Section("Not here"), Section("Nor here"))
    assert "Not measured and therefore not shown: Not here, Nor here." in page and page.count("<h2") == 1


def test_tables_have_heads_for_columns_and_rows():
    page = a_page(
        Section("A", tables={"Numbers": Table(["budget", "value"], [["8", "1"], ["16", "2"]], [["all", "3"]])})
    )
    assert '<table class="sortable">\n<caption>Numbers</caption>' in page
    assert '<th scope="col">budget</th>' in page and '<tr><th scope="row">8</th><td>1</td></tr>' in page
    assert '<tfoot>\n<tr><th scope="row">all</th><td>3</td></tr>' in page
    assert 'class="scroll" role="region" aria-label="Numbers" tabindex="0"' in page


def test_the_first_thing_to_reach_is_the_way_past_the_head():
    page = a_page(Section("A", text="x"))
    assert page.index("<body>") < page.index('<a class="skip" href="#content">') < page.index("<h1>")
    assert '<main id="content" tabindex="-1">' in page
