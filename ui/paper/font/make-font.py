#!/usr/bin/env python3
# SPDX-License-Identifier: OFL-1.1
"""Make CunkouSans-Regular.otf from the Noto Sans CJK Regular collection.

    make-font.py NotoSansCJK-Regular.ttc [output.otf]

Takes the SC face out of the collection, keeps the characters papers need,
drops layout features, vertical metrics and hinting, numbers the glyphs anew
so that glyph number and CID are the same, and names the result "Cunkou Sans".
The same collection and the same fonttools version give the same bytes.
"""

import hashlib
import sys
from pathlib import Path

import fontTools
from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont, newTable
from fontTools.ttLib.tables._n_a_m_e import NameRecord

FACE = "Noto Sans CJK SC"
FAMILY = "Cunkou Sans"
POSTSCRIPT = "CunkouSans-Regular"
VERSION = "1.000"
FONTTOOLS = "4.68.0"
# Seconds since 1904-01-01, the OpenType epoch: 2024-01-01T00:00:00Z.
TIMESTAMP = 3786912000

COPYRIGHT = (
    "Copyright 2014-2021 Adobe (http://www.adobe.com/), "
    "with Reserved Font Name 'Source'. "
    "Cunkou Sans is a Modified Version: a subset under another name."
)
LICENSE = (
    "This Font Software is licensed under the SIL Open Font License, "
    "Version 1.1. This Font Software is distributed on an \"AS IS\" BASIS, "
    "WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. "
    "See the SIL Open Font License for the specific language, permissions and "
    "limitations governing your use of this Font Software."
)
LICENSE_URL = "https://openfontlicense.org"

# First and last code point of each range; what the face lacks is left out.
RANGES = [
    (0x0020, 0x007E),  # ASCII
    (0x00A0, 0x00FF),  # Latin-1
    (0x2010, 0x2027),  # dashes, quotation marks, bullet, ellipsis
    (0x2030, 0x203E),  # per mille, primes, reference mark
    (0x20AC, 0x20AC),  # euro
    (0x2100, 0x214F),  # ℃ № ℡ and the like
    (0x2150, 0x218B),  # fractions, Roman numerals
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # ≈ ≠ ≤ ≥ √ ∞
    (0x2460, 0x24FF),  # circled numbers
    (0x2500, 0x257F),  # box drawing
    (0x2580, 0x259F),  # blocks
    (0x25A0, 0x25FF),  # geometric shapes
    (0x2600, 0x26FF),  # stars and marks
    (0x2700, 0x27BF),  # ✓ and dingbats
    (0x3000, 0x303F),  # CJK punctuation
    (0x3220, 0x3247),  # parenthesised ideographs
    (0x3280, 0x32B0),  # circled ideographs
    (0x3371, 0x33DF),  # ㎡ ㎏ and the like
    (0x3400, 0x4DBF),  # Han Extension A
    (0x4E00, 0x9FFF),  # Han
    (0xFF01, 0xFF5E),  # fullwidth forms
    (0xFFE0, 0xFFE6),  # fullwidth signs
    (0xFFFD, 0xFFFD),  # replacement character
    (0x20000, 0x3FFFF),  # Han, supplementary planes
]
# Tone marks of Pinyin outside Latin-1.
PINYIN = "āēěīńňōūǎǐǒǔǖǘǚǜǹḿĀĒĚĪŃŇŌŪǍǏǑǓǕǗǙǛǸḾ"
# Encoded as compatibility ideographs, yet unified: they have no other form.
UNIFIED = "﨎﨏﨑﨓﨔﨟﨡﨣﨤﨧﨨﨩"

DROP = ["BASE", "GDEF", "GPOS", "GSUB", "VORG", "vhea", "vmtx", "DSIG"]


def face(ttc: Path) -> TTFont:
    collection = TTCollection(str(ttc), lazy=True)
    for number, font in enumerate(collection.fonts):
        if font["name"].getDebugName(4) == FACE:
            return TTFont(
                str(ttc), fontNumber=number, recalcTimestamp=False, recalcBBoxes=True
            )
    raise SystemExit(f"{FACE} is not in {ttc.name}")


def wanted(font: TTFont) -> set[int]:
    points = {c for first, last in RANGES for c in range(first, last + 1)}
    points.update(map(ord, PINYIN + UNIFIED))
    return points & set(font.getBestCmap())


def cut(font: TTFont, points: set[int]) -> None:
    options = subset.Options()
    options.drop_tables = DROP
    options.layout_features = []
    options.hinting = False
    options.notdef_glyph = True
    options.notdef_outline = True
    options.recommended_glyphs = False
    options.name_IDs = []
    options.legacy_kern = False
    options.canonical_order = True
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=points)
    subsetter.subset(font)


def renumber(font: TTFont) -> None:
    """Make CID n be glyph n, so that neither a reader nor a writer must map."""
    # Loaded first: these tables hold glyph names.
    metrics = font["hmtx"].metrics
    tables = font["cmap"].tables
    top = font["CFF "].cff.topDictIndex[0]
    strings = top.CharStrings

    old = font.getGlyphOrder()
    new = [".notdef"] + [f"cid{n:05d}" for n in range(1, len(old))]
    name = dict(zip(old, new))

    font["hmtx"].metrics = {name[g]: m for g, m in metrics.items()}
    for table in tables:
        table.cmap = {c: name[g] for c, g in table.cmap.items()}
    strings.charStrings = {name[g]: i for g, i in strings.charStrings.items()}
    top.charset = new
    top.CIDCount = len(new)
    font.setGlyphOrder(new)


def rename(font: TTFont) -> None:
    records = {
        0: COPYRIGHT,
        1: FAMILY,
        2: "Regular",
        3: f"{VERSION};{POSTSCRIPT}",
        4: FAMILY,
        5: f"Version {VERSION}",
        6: POSTSCRIPT,
        13: LICENSE,
        14: LICENSE_URL,
    }
    table = newTable("name")
    table.names = []
    for number, text in sorted(records.items()):
        record = NameRecord()
        record.nameID, record.string = number, text
        record.platformID, record.platEncID, record.langID = 3, 1, 0x409
        table.names.append(record)
    font["name"] = table

    cff = font["CFF "].cff
    cff.fontNames = [POSTSCRIPT]
    top = cff.topDictIndex[0]
    top.FullName = FAMILY
    top.FamilyName = FAMILY
    top.Notice = COPYRIGHT
    top.version = VERSION
    for entry in ("Copyright", "XUID", "UniqueID"):
        if entry in top.rawDict:
            del top.rawDict[entry]
    for number, part in enumerate(top.FDArray):
        part.FontName = f"{POSTSCRIPT}-{number}"

    font["OS/2"].achVendID = "    "
    head = font["head"]
    head.fontRevision = float(VERSION)
    head.created = head.modified = TIMESTAMP


def main() -> None:
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    if fontTools.version != FONTTOOLS:
        print(
            f"fonttools is {fontTools.version}; the committed font was made with {FONTTOOLS}",
            file=sys.stderr,
        )
    out = (
        Path(sys.argv[2])
        if len(sys.argv) == 3
        else Path(__file__).with_name(f"{POSTSCRIPT}.otf")
    )
    font = face(Path(sys.argv[1]))
    points = wanted(font)
    cut(font, points)
    renumber(font)
    rename(font)
    font.save(str(out), reorderTables=True)

    data = out.read_bytes()
    glyphs = len(font.getGlyphOrder())
    print(f"{out.name}: {len(points)} characters, {glyphs} glyphs, {len(data)} bytes")
    print(f"sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
