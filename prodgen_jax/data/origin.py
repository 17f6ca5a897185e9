"""Where a picture comes from, said within its file, so that photos and what a model made are told apart for good.

Two text chunks of a PNG: the IPTC's Digital Source Type as XMP, which search engines, agencies and editors read, and
the details as JSON. They outlive copying and renaming, not a screenshot or a service that strips metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from prodgen_jax.errors import InputError

GENERATED, CHANGED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"  # IPTC's names
TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DETAILS, XMP = "prodgen", "XML:com.adobe.xmp"  # names of the chunks
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType={kind}/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True)
class Origin:
    """kind: GENERATED, or CHANGED for a photo that a model worked on; facts: literals, as the model, seed and wish."""

    kind: str = GENERATED
    facts: Mapping = field(default_factory=dict)

    def text(self) -> str:
        """As JSON."""
        return json.dumps({"source": self.kind, **self.facts}, ensure_ascii=False)

    def texts(self) -> dict[str, str]:
        """{name of a chunk: what stands in it}."""
        return {XMP: PACKET.format(kind=quoteattr(TYPES + self.kind)), DETAILS: self.text()}

    def chunks(self) -> PngInfo:
        found = PngInfo()
        for name, text in self.texts().items():
            found.add_itxt(name, text)
        return found


def read_origin(path: str | Path) -> dict | None:
    """What a PNG says of its origin: {"source", ...}; None where it says nothing. InputError if it is no picture."""
    try:
        with Image.open(path) as image:
            said = getattr(image, "text", {}).get(DETAILS)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: not a picture ({error})") from error
    try:
        return json.loads(said) if said else None
    except ValueError:
        return None
