"""Tables of reports and notebooks, as markdown or HTML; few columns, so that they can be read on a telephone."""

import html
from collections.abc import Mapping, Sequence

from prodgen_jax.errors import InputError
from prodgen_jax.evaluation.selftest import failures


def plain(value: float) -> str:
    """Three digits where there are as many, and never an exponent: 0.12, 7.36, 20.4, 1,070."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


share, score = "{:.2f}".format, "{:.1f}".format
COLUMNS = {
    "FCD": ("fcd", plain), "precision": ("precision", share), "recall": ("recall", share),
    "coverage": ("coverage", share),
}  # fmt: skip
MORE = {
    "KID": ("kid", plain), "± KID": ("kid_stderr", plain), "density": ("density", share), "Vendi": ("vendi", score),
}  # fmt: skip


def needs_records(records: Sequence[Mapping]) -> None:
    if not records:
        raise InputError("no records to show; `evaluate` makes one")


def results_table(records: Sequence[Mapping], form: str = "markdown", full: bool = False) -> str:
    """Every record's measures, lowest FCD first, between the first record's floor and ceiling.

    form: "markdown" or "html". full: KID, density and Vendi score as well. The copies' column is the number of copies
    over the samples checked. A measure that failed its own test in one of the records is struck out.
    """
    needs_records(records)
    columns = {**COLUMNS, **(MORE if full else {})}
    lines = [("real photos (floor)", records[0]["floor"], "")]
    for record in sorted(records, key=lambda record: record["samples"]["fcd"]):
        checked = record["copies"]
        lines.append((record["name"] or "samples", record["samples"], f"{checked['copies']} / {checked['of']}"))
    lines.append(("Gaussian per pixel (ceiling)", records[0]["ceiling"], ""))
    head = ["samples", *columns, "copies"]
    body = [[name, *(write(at[key]) for key, write in columns.values()), copied] for name, at, copied in lines]
    failed = failures(records)
    struck = {i for i, (key, _) in enumerate(columns.values(), start=1) if key.removesuffix("_stderr") in failed}
    writers = {"markdown": markdown, "html": html_table}
    if form not in writers:
        raise InputError(f"form='{form}': expected {' or '.join(writers)}")
    return writers[form](head, body, struck)


def cells(line: Sequence, struck: frozenset[int] | set[int], escape) -> list[str]:
    """The cells' text; those in struck columns are crossed out, as HTML, which both forms may hold."""
    return [f"<s>{escape(str(cell))}</s>" if i in struck else escape(str(cell)) for i, cell in enumerate(line)]


def markdown(
    head: Sequence[str], body: Sequence[Sequence[str]], struck: set[int] | frozenset[int] = frozenset()
) -> str:
    """struck: numbers of the columns to cross out."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    lines = [cells(line, struck, lambda text: text.replace("|", "\\|")) for line in (head, *body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ruler, *lines[1:]])


def html_table(
    head: Sequence[str], body: Sequence[Sequence[str]], struck: set[int] | frozenset[int] = frozenset()
) -> str:
    """As `markdown`'s, in a box that scrolls sideways where the screen is narrower than the table."""

    def row(line: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells(line, struck, html.escape)) + "</tr>"

    lines = [row(line, "td") for line in body]
    inner = [f"<thead>{row(head, 'th')}</thead>", "<tbody>", *lines, "</tbody>"]
    return "\n".join(['<div style="overflow-x:auto"><table>', *inner, "</table></div>"])
