#!/usr/bin/env python3
"""Looks at a page of `fvtool report` in headless Chromium: wide and narrow, light and dark.

    apt-get install chromium; pip install playwright
    python3 scripts/check_report.py REPORT.html OUT [--chromium /usr/bin/chromium]

In each of the four: nothing is wider than the window, every picture decodes and has a text in its place, every link
within the page leads somewhere, heads of tables sort by click and by key, nothing is asked of a network, and the
colours are those that the reader's system asks for. OUT gets a screenshot of each. Exit code 1 when something is
wrong.
"""

import argparse
import os
import shutil
import sys

from playwright.sync_api import sync_playwright

SIZES = {"wide": 1280, "narrow": 390}
HEIGHT = 900

CHECKS = """async () => {
  const wrong = [];
  const say = (holds, what) => { if (!holds) wrong.push(what); };
  const root = document.documentElement;
  say(root.scrollWidth <= innerWidth + 1, `the page is ${root.scrollWidth} px wide in ${innerWidth}`);
  for (const picture of document.images) {
    picture.loading = "eager";
    try { await picture.decode(); } catch (error) { wrong.push(`a picture does not decode: ${picture.alt}`); }
    say(picture.alt !== "", "a picture has no text in its place");
  }
  for (const link of document.querySelectorAll("a[href^='#']")) {
    const target = link.getAttribute("href").slice(1);
    say(document.getElementById(target), `a link leads nowhere: ${target}`);
  }
  say(document.querySelectorAll("h1").length === 1, "there is not one title");
  say(document.querySelector("main") && document.querySelector("nav[aria-label]"), "no landmarks");
  const paper = getComputedStyle(document.body).backgroundColor;
  return { wrong, pictures: document.images.length, paper };
}"""

SORTED = """head => {
  const values = [...head.closest("table").tBodies[0].rows].map(row => parseFloat(row.cells[1].textContent));
  const numbers = values.filter(value => !Number.isNaN(value));
  const up = numbers.every((value, i) => i === 0 || numbers[i - 1] <= value);
  const down = numbers.every((value, i) => i === 0 || numbers[i - 1] >= value);
  return [head.getAttribute("aria-sort"), up, down];
}"""


def look(browser, path, width, scheme, picture):
    """What is wrong, the number of pictures, and the colour of the paper."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{path}")
    found = page.evaluate(CHECKS)
    wrong = found["wrong"]
    for table in page.query_selector_all("table.sortable"):
        head = table.query_selector_all("thead th")[1]
        button = head.query_selector("button")
        button.click()
        state, up, _ = head.evaluate(SORTED)
        if (state, up) != ("ascending", True):
            wrong.append("a table does not sort by a click")
        button.focus()
        page.keyboard.press("Enter")
        state, _, down = head.evaluate(SORTED)
        if (state, down) != ("descending", True):
            wrong.append("a table does not sort by a key")
    outside = [url for url in asked if not url.startswith(("data:", f"file://{path}"))]
    if outside:
        wrong.append(f"asked for {', '.join(outside)}")
    light = sum(int(part) for part in found["paper"].strip("rgba()").split(",")[:3]) > 3 * 128
    if light != (scheme == "light"):
        wrong.append(f"the paper is {found['paper']} in the scheme {scheme}")
    page.screenshot(path=picture, full_page=True)
    context.close()
    return wrong, found["pictures"], found["paper"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("out")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    path, size, failed = os.path.abspath(args.page), os.path.getsize(args.page), False
    print(f"{args.page}: {size / 1e6:.2f} MB")
    if size > 5_000_000:
        print("  larger than 5 MB")
        failed = True
    options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.chromium, args=options)
        for name, width in SIZES.items():
            for scheme in ("light", "dark"):
                picture = os.path.join(os.path.abspath(args.out), f"{name}-{scheme}.png")
                wrong, pictures, paper = look(browser, path, width, scheme, picture)
                print(f"{name}, {scheme}: {pictures} pictures, paper {paper}, {len(wrong)} faults; {picture}")
                for fault in sorted(set(wrong)):
                    print(f"  {fault}")
                    failed = True
        browser.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
