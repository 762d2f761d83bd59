"""How Sphinx makes the site of these pages; `cargo xtask docs` calls it on a copy of them."""

project = "libmfa"
extensions = ["myst_parser"]
root_doc = "docs/index"
html_theme = "furo"
html_title = "libmfa"
# As GitHub makes them of headings, so that one link serves both.
myst_heading_anchors = 4
# The order is written in docs/index.md; the rest is reached from there.
exclude_patterns = ["out"]
# README's pages begin where they like, and one of them is named twice. C# has words that its highlighter does not know.
suppress_warnings = ["myst.header", "misc.highlighting_failure", "toc.not_included"]
# No request to anybody from who reads the site, and no date: the same pages make the same site.
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
