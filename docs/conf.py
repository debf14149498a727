"""Sphinx configuration: python -m sphinx -W --keep-going docs build/site."""

import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("MPLBACKEND", "Agg")
warnings.filterwarnings("ignore", category=DeprecationWarning)  # of packages that the API pages import

import cellsim  # noqa: E402

project = "cellsim"
author = "The cellsim developers"
project_copyright = "The cellsim developers, MIT licence"
version = release = cellsim.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "site_pages"]
exclude_patterns = ["_ext", "_static", "gallery_cases", "notebooks/__marimo__"]
source_suffix = {".md": "markdown"}
suppress_warnings = [
    "misc.highlighting_failure",  # [[...]] in sketches of TOML
    "ref.python",  # one word, several attributes of that name: such a reference stays a word
]

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
highlight_language = "none"

autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = "cellsim"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
