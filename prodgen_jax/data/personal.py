"""Personal data that has no place in a product list: found by its form, and taken out before anything learns from it.

Only what checks itself or is written as nothing else is: e-mail addresses, telephone numbers with a country's or an
area's code, card numbers whose digits pass Luhn's check, IBANs whose remainder is right. A name is not found so.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from prodgen_jax.data.audit import Drop

REASON = "personal data removed"


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum of all digits a multiple of ten."""
    doubled = "".join(str(int(d) * (1 + i % 2)) for i, d in enumerate(reversed(digits)))
    return sum(map(int, doubled)) % 10 == 0


def card(found: str) -> bool:
    digits = re.sub(r"\D", "", found)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def iban(found: str) -> bool:
    """ISO 13616: with the first four behind the rest and A as 10, the remainder by 97 is 1."""
    letters = re.sub(r"\s", "", found)
    number = "".join(str(int(c, 36)) for c in letters[4:] + letters[:4])
    return 15 <= len(letters) <= 34 and int(number) % 97 == 1


def phone(found: str) -> bool:
    return 8 <= len(re.sub(r"\D", "", found)) <= 15


def anything(_: str) -> bool:
    return True


FORMS: dict[str, tuple[re.Pattern, Callable[[str], bool]]] = {  # what is searched first, first
    "e-mail address": (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), anything),
    "IBAN": (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), iban),
    "card number": (re.compile(r"(?<![\d-])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\d-])"), card),
    "telephone number": (
        re.compile(r"\+\d[\d ()./-]{6,17}\d|\(\d{2,5}\) ?\d{3}[ .-]?\d{3,5}\b|\b\d{3}[ .-]\d{3}[ .-]\d{4}\b"),
        phone,
    ),
}


def without_personal(text: str) -> tuple[str, list[str]]:
    """(the text without it and with single spaces where some was, what kinds there were)."""
    kinds = []
    for kind, (form, check) in FORMS.items():
        found = [match.group() for match in form.finditer(text) if check(match.group())]
        for part in found:
            text = text.replace(part, " ")
        kinds += [kind] * bool(found)
    return (" ".join(text.split()), kinds) if kinds else (text, [])


def cleaned(
    rows: list[dict[str, str]],
    columns: Iterable[str],
    id_column: str,
    image_column: str | None,
    numbers: dict[str, int],
) -> tuple[list[dict[str, str]], list[Drop]]:
    """(rows whose cells in these columns hold no personal data, what was taken out of which, without saying it)."""
    kept, listed = [], []
    for row in rows:
        for column in columns:
            text, kinds = without_personal(row[column])
            if kinds:
                said = f"{' and '.join(kinds)} in column '{column}'; the row is kept"
                listed.append(Drop(numbers[row[id_column]], row[id_column], row.get(image_column, ""), REASON, said))
                row = {**row, column: text}
        kept.append(row)
    return kept, listed


def counted(listed: list[Drop]) -> dict[str, int]:
    """{kind: cells that held it}."""
    said = [drop.detail.split(" in column ")[0] for drop in listed]
    return dict(Counter(kind for kinds in said for kind in FORMS if kind in kinds).most_common())
