"""How Sphinx builds the documentation: `sphinx-build -W --keep-going docs docs/_build`."""

import sys
from operator import methodcaller
from pathlib import Path

# What examples import is looked up, also when they are not run.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sphinx_gallery.sorting import FunctionSortKey

# A checkout has the folder sk_adaptive/, which is not compiled: the docs are of the installed
# package.
CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != CHECKOUT]

# Figures compare with the dense algorithms that the tests have; parameter_table is beside this.
sys.path += [str(CHECKOUT / "tests"), str(CHECKOUT / "docs")]

import sk_adaptive  # noqa: E402

project = "sk_adaptive"
version = release = sk_adaptive.__version__
extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "parameter_table",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    # It brings MathJax along, so that the pages need no network.
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# benchmarks/index.md includes the results
exclude_patterns = ["_build", "figures", "benchmarks/results.md"]
templates_path = ["_templates"]
default_role = "literal"
# 'log_loss' and the like are to be copied
smartquotes = False

# --- pages ---

myst_enable_extensions = ["colon_fence", "dollarmath"]
# for links to sections, as in defaults.md#the-learning-rate-eta0-auto
myst_heading_anchors = 3

# --- API ---

# The template of a class lists its methods, and documents each once.
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"

# --- figures ---

plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False
PICTURES_FIRST = FunctionSortKey(methodcaller("replace", "plot_", "0"))
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    # Scripts of other names are shown and not run: they take files or clusters.
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)_",
    "within_subsection_order": PICTURES_FIRST,
    "minigallery_sort_order": PICTURES_FIRST,
    "doc_module": "sk_adaptive",
    "backreferences_dir": "generated/backreferences",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "capture_repr": (),
    "thumbnail_size": (480, 320),
    "default_thumb_file": str(CHECKOUT / "docs/_static/script.svg"),
    "min_reported_time": 60,
}

# --- the site ---

html_theme = "pydata_sphinx_theme"
html_title = "sk_adaptive"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_context = {"default_mode": "light"}
html_theme_options = {
    "logo": {
        "text": "sk_adaptive",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "getting_started": [], "changelog": []}
copyright = f"sk_adaptive {release}, BSD-3-Clause"


def leave_as_text(app, env, node, contnode):
    """Links in docstrings by scikit-learn: to find its pages would take the network."""
    return contnode if node.get("refdoc", "").startswith("generated/") else None


def setup(app):
    app.connect("missing-reference", leave_as_text)
