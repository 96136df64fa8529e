/* How report.html looks: a system font, one column, light and dark, readable on a phone and on
 * paper. */
#include "report/html.h"

const char html_style[] =
    "*{box-sizing:border-box}\n"
    "html{color-scheme:light dark;-webkit-text-size-adjust:100%}\n"
    "body{margin:0;background:var(--page);color:var(--text);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu "
    "Sans',sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:0 16px 48px}\n"
    "header{max-width:1080px;margin:0 auto;padding:20px 16px 0}\n"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 12px;overflow-wrap:anywhere}\n"
    "h2{font-size:1.15rem;margin:0 0 10px}\n"
    "h3{font-size:1rem;margin:20px 0 6px}\n"
    "a{color:var(--promoted)}\n"
    "p{margin:0 0 10px}\n"
    "section,.banner{background:var(--paper);border:1px solid var(--grid);border-radius:8px;"
    "padding:16px;margin:16px 0;overflow-wrap:anywhere}\n"
    "section{scroll-margin-top:8px}\n"
    ".banner{border-left:8px solid var(--c);display:flex;gap:16px;align-items:center;"
    "flex-wrap:wrap}\n"
    ".banner .word{font-size:1.6rem;font-weight:700;color:var(--c);letter-spacing:.03em}\n"
    ".banner .why{flex:1 1 300px;font-size:1.05rem;margin:0}\n"
    ".pass{--c:var(--good)}.fail{--c:var(--bad)}.unknown{--c:var(--open)}\n"
    ".v{color:var(--c);font-weight:600;white-space:nowrap}\n"
    ".meta{display:flex;flex-wrap:wrap;gap:2px 20px;color:var(--muted);margin:0 0 4px;padding:0;"
    "list-style:none}\n"
    ".meta b{color:var(--text);font-weight:600}\n"
    "nav{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.9rem;margin-top:12px}\n"
    ".warn{border:1px solid var(--bad);border-radius:6px;padding:8px 12px;margin:12px 0 0}\n"
    /* Where something is out of sight there is a shadow: it stays, what covers it scrolls away. */
    ".scroll{overflow-x:auto;margin:0 -4px 12px;padding:0 4px;background:"
    "linear-gradient(90deg,var(--paper) 30%,transparent) 0/28px 100% no-repeat local,"
    "linear-gradient(270deg,var(--paper) 30%,transparent) 100%/28px 100% no-repeat local,"
    "linear-gradient(90deg,var(--muted),transparent) 0/7px 100% no-repeat,"
    "linear-gradient(270deg,var(--muted),transparent) 100%/7px 100% no-repeat}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:40%}\n"
    "th,td{text-align:left;vertical-align:top;padding:5px 16px 5px 0;"
    "border-bottom:1px solid var(--grid);overflow-wrap:normal;white-space:nowrap}\n"
    "th{color:var(--muted);font-weight:600;font-size:.85rem}\n"
    "th.n,td.n{text-align:right}\n"
    "td.w,td.none{min-width:16em;white-space:normal;overflow-wrap:anywhere}\n"
    /* Reasons in several columns: all of them on a page, however high the row. */
    ".wide td.none{min-width:8em}\n"
    "tr:last-child td{border-bottom:0}\n"
    ".none,.note{color:var(--muted)}\n"
    "figure{margin:8px 0 12px}\n"
    "figure .scroll{margin-bottom:4px}\n"
    "figcaption{color:var(--muted);font-size:.9rem;max-width:75ch}\n"
    "svg.plot{display:block;width:100%;min-width:700px;height:auto}\n"
    "svg.plot text{font-family:inherit}\n"
    "svg.plot image{image-rendering:pixelated;}\n"
    ".missing{border:1px dashed var(--muted);border-radius:6px;padding:12px;color:var(--muted)}\n"
    ".keys{display:flex;flex-wrap:wrap;gap:2px 18px;color:var(--muted);font-size:.9rem;margin:0;"
    "padding:0;list-style:none}\n"
    ".keys i{display:inline-block;width:14px;height:10px;border-radius:2px;margin-right:6px;"
    "background:var(--k)}\n"
    ".keys i.line{width:0;height:14px;border-radius:0;background:none;"
    "border-left:2px dashed var(--k);vertical-align:-2px;margin-left:6px}\n"
    "pre,code{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
    "font-size:.88rem}\n"
    "pre{background:var(--page);border:1px solid var(--grid);border-radius:6px;padding:10px;"
    "overflow-x:auto;margin:6px 0 12px}\n"
    "details{margin:8px 0}summary{cursor:pointer}\n"
    "footer{max-width:1080px;margin:0 auto;padding:0 16px 32px;color:var(--muted);"
    "font-size:.85rem}\n"
    "@media (max-width:600px){body{font-size:14px}main,header{padding-left:8px;padding-right:8px}"
    "section,.banner{padding:12px}th,td{padding-right:12px}"
    /* Each row of a wide table as a list: nothing is out of sight. */
    "table.wide,.wide tbody,.wide tr,.wide td{display:block}.wide thead{display:none}"
    ".wide tr{border-bottom:1px solid var(--grid);padding:6px 0}.wide tr:last-child{border:0}"
    ".wide td,.wide td.n,.wide td.none,.wide td.w{display:flex;gap:12px;"
    "justify-content:space-between;min-width:0;padding:1px 0;border:0;text-align:right;"
    "white-space:normal;overflow-wrap:anywhere}"
    ".wide td::before{content:attr(data-c);flex:none;max-width:45%;text-align:left;"
    "color:var(--muted)}.wide td:empty{display:none}"
    "td,th{white-space:normal}}\n"
    "@media print{body{background:#fff}section,.banner{break-inside:avoid;border-color:#ccc}"
    "nav{display:none}details{display:block}}\n";

struct page_color {
  const char *name, *light, *dark;
};

/* What the plots do not have. Text in these colours has a contrast of 4.5 to 1 or more. */
static const struct page_color page_colors[] = {
    {"page", "#f4f6f8", "#0d1115"},
    {"good", "#00704f", "#3fcf9f"},
    {"bad", "#b33a00", "#ff9a57"},
    {"open", "#7a4b00", "#e9bd5a"},
};
#define PAGE_COLOR_COUNT (sizeof page_colors / sizeof page_colors[0])

void html_colors(struct buf *out) {
  buf_puts(out, ":root{");
  for (int i = 0; i < COLOR_COUNT; i++) {
    buf_printf(out, "--%s:#%06x;", plot_colors[i].name, plot_colors[i].light);
  }
  for (size_t i = 0; i < PAGE_COLOR_COUNT; i++) {
    buf_printf(out, "--%s:%s;", page_colors[i].name, page_colors[i].light);
  }
  /* Paper is light, whatever the screen prefers. */
  buf_puts(out, "}\n@media screen and (prefers-color-scheme:dark){:root{");
  for (int i = 0; i < COLOR_COUNT; i++) {
    buf_printf(out, "--%s:#%06x;", plot_colors[i].name, plot_colors[i].dark);
  }
  for (size_t i = 0; i < PAGE_COLOR_COUNT; i++) {
    buf_printf(out, "--%s:%s;", page_colors[i].name, page_colors[i].dark);
  }
  buf_puts(out, "}}\n");
}
