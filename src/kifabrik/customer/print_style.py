"""How pages to print look: one style sheet, no script, no network."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1c2630; }
body { font: 15px/1.5 "Inter", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 48px 36px; }
h1 { margin: 2px 0 8px; font-size: 30px; line-height: 1.2; letter-spacing: -.01em; }
h2 { font-size: 21px; margin: 44px 0 4px; overflow-wrap: anywhere; }
h3 { font-size: 14px; margin: 18px 0 4px; }
p { margin: 0 0 8px; overflow-wrap: anywhere; }
.kind { color: #1f5a7a; font-size: 13px; font-weight: 600; letter-spacing: .04em; margin: 0; }
.note, .id { color: #5b6873; font-size: 13px; overflow-wrap: anywhere; }
.id { white-space: nowrap; }
.warn { color: #a9262e; font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); }
.tiles { border-top: 2px solid #1c2630; margin: 22px 0 10px; }
.tiles div { padding: 12px 16px 12px 0; border-bottom: 1px solid #e2e6ea; }
.tiles b { display: block; font-size: 28px; line-height: 1.3; color: #1f5a7a; }
.tiles span { color: #5b6873; font-size: 13px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; margin-bottom: 8px; }
th { text-align: left; font-size: 12.5px; color: #5b6873; border-bottom: 1px solid #b9c2ca; }
th { padding: 4px 12px 4px 0; }
td { padding: 4px 12px 4px 0; border-bottom: 1px solid #e2e6ea; vertical-align: top; overflow-wrap: anywhere; }
.n { text-align: right; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media screen and (max-width: 700px) {
  main { padding: 24px 16px; } .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  table { display: block; overflow-x: auto; } td { min-width: 92px; overflow-wrap: normal; }
}
@page { size: A4; margin: 16mm 14mm; }
@media print {
  body { font-size: 10.5pt; } main { padding: 0; } tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
""".strip()
META: Final = (
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
