"""Sphinx, myst-nb and the book theme, set so that every page works from disk with no network."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from prodgen_jax.deploy.site_pages import TITLE
from prodgen_jax.errors import InputError

STATIC = Path(__file__).with_name("site")
MATHJAX = "tex-svg-full.js"  # draws glyphs as paths and holds every TeX extension, so it loads no second file

SETTINGS = {
    "project": TITLE,
    "html_title": TITLE,
    "extensions": ["myst_nb", "sphinx.ext.mathjax"],
    "myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"],
    "myst_heading_anchors": 3,
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_render_markdown_format": "myst",  # plain CommonMark, the default, has no tables
    "nb_ipywidgets_js": {},  # the default is two scripts from the network
    "mathjax_path": MATHJAX,
    "mathjax3_config": {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}},
    "html_theme": "sphinx_book_theme",
    "html_static_path": ["_static"],
    "html_css_files": ["report.css"],
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_last_updated_fmt": None,
    "html_theme_options": {
        "navbar_persistent": [],
        "show_navbar_depth": 1,
        "use_download_button": True,
        "use_fullscreen_button": False,
        "footer_content_items": [],
    },
    "suppress_warnings": ["mystnb.unknown_mime_type", "myst.header"],
}


def mathjax() -> Path:
    """MathJax's script from the installed `django-static-mathjax`, which is nothing but MathJax's files."""
    spec = find_spec("mathjax")
    roots = list(spec.submodule_search_locations or []) if spec else []
    found = next((p for r in roots if (p := Path(r) / "static" / "mathjax" / "es5" / MATHJAX).is_file()), None)
    if found is None:
        raise InputError("the report's equations need MathJax: pip install 'prodgen-jax[report]'")
    return found


def build_html(pages: Path, out: Path) -> Path:
    """Turn OUT/source into OUT/html; returns its index.html. Warnings go to OUT/logs/sphinx.log."""
    static = pages / "_static"
    shutil.copytree(STATIC, static)
    shutil.copy(mathjax(), static)
    shutil.copy(mathjax().parents[1] / "LICENSE", static / "MATHJAX-LICENSE.txt")
    log = out / "logs" / "sphinx.log"
    with log.open("w", encoding="utf-8") as stream:
        status = run_sphinx(pages, out, stream)
    if status:
        raise InputError(f"Sphinx could not build the site, see {log}")
    for page in sorted((out / "work" / "records").glob("*.html")):  # each stands alone, so Sphinx has no part in it
        (out / "html" / "records").mkdir(exist_ok=True)
        shutil.copy(page, out / "html" / "records")
    return out / "html" / "index.html"


def run_sphinx(pages: Path, out: Path, stream) -> int:
    """Sphinx's exit status; all that it says goes to the stream."""
    from sphinx.application import Sphinx
    from sphinx.util.console import nocolor
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    nocolor()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            srcdir=pages,
            confdir=None,
            outdir=out / "html",
            doctreedir=out / "doctrees",
            buildername="html",
            confoverrides=SETTINGS,
            status=None,
            warning=stream,
            freshenv=True,
        )
        app.build(force_all=True)
        return app.statuscode
