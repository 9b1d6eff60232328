import pytest
from marks import marks


@pytest.mark.parametrize(
    "html",
    [
        '<p>--8&lt;-- "file.py"</p>',
        '<pre><code><span>--</span><span>8</span> <span>&lt;</span> --"file.py"</code></pre>',
        "<p>text</p>\n<p>!!! warning</p>",
        '<p>??? note "more"</p>',
        "<p>\n::: isthmus.guard</p>",
        "<p>```python</p>",
        "<li>see [the page](page.md)</li>",
        "<td>{{ version }}</td>",
        "<p>&lt;!-- figures: x --&gt;</p>",
    ],
)
def test_raw_marks_are_found(html):
    (found,) = marks(f"<html><body>{html}</body></html>")
    assert any(mark in found for mark in ("8", "!!!", "???", ":::", "```", "](", "{{", "<!--"))


@pytest.mark.parametrize(
    "html",
    [
        "<p>Really!!! and why??? so: 1 ::: 2</p>",
        "<p>see <code>!!! warning</code> and <code>[a](b)</code></p><pre>```\n::: x\n{{ y }}</pre>",
        "<!-- figures: x --><p>a[1] (b)</p><script>`${{a}}`; x[0](1)</script>",
        '<p>a <a href="page.md">link</a>, 8 &lt; 9, <code>x</code>](</p>',
    ],
)
def test_other_text_is_left_alone(html):
    assert marks(html) == []
