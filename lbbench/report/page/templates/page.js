/* Theme, sorting, filters and copying. Without it the page is still a document. */
"use strict";
(() => {
  const root = document.documentElement;
  const say = (text) => { document.getElementById("status").textContent = text; };

  // --- light and dark ---------------------------------------------------------------------------
  const KEY = "lbbench-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const switcher = document.getElementById("theme");
  const remembered = (() => {
    try { return localStorage.getItem(KEY); } catch { return null; } // a file may have no storage
  })();
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function show() {
    const dark = isDark();
    switcher.textContent = dark ? "Light" : "Dark";
    switcher.setAttribute("aria-label", `Turn to ${dark ? "light" : "dark"} colours`);
    window.drawPictures?.(dark);
  }
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  switcher.hidden = false;
  switcher.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* it holds for this page only */ }
    show();
  });
  system.addEventListener("change", show);
  window.addEventListener("beforeprint", () => window.drawPictures?.(false));
  window.addEventListener("afterprint", show);

  // --- sorting ----------------------------------------------------------------------------------
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function compare(a, b) { // what has no number comes after what has one
    if (a.number !== null && b.number !== null) return a.number - b.number;
    if (a.number !== null || b.number !== null) return a.number !== null ? -1 : 1;
    return words.compare(a.text, b.text);
  }

  function sort(head, column) {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    const keyed = [...body.rows].map((row) => {
      const cell = row.cells[column];
      const text = cell.firstChild ? cell.textContent.trim() : "";
      const number = "v" in cell.dataset ? Number(cell.dataset.v) : null;
      return { row, text, number, nothing: number === null && /^[-–]?$/.test(text) };
    });
    keyed.sort((a, b) => {
      if (a.nothing || b.nothing) return a.nothing - b.nothing; // last in either direction
      return down ? compare(b, a) : compare(a, b);
    });
    body.append(...keyed.map((one) => one.row));
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    say(`Sorted by ${head.textContent.trim()}, ${down ? "descending" : "ascending"}`);
  }

  for (const head of document.querySelectorAll("thead th")) {
    head.firstElementChild.addEventListener("click", () => sort(head, head.cellIndex));
  }

  // --- filters ----------------------------------------------------------------------------------
  for (const filter of document.querySelectorAll(".filter")) {
    const rows = [...filter.closest(".table").querySelector("tbody").rows];
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
    const count = filter.querySelector("output");
    filter.hidden = false;
    filter.querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !wanted.every((word) => texts[i].includes(word));
        shown += !row.hidden;
      });
      count.textContent = wanted.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  // --- copying ----------------------------------------------------------------------------------
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // no permission, or an old browser
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.setAttribute("aria-label", `Copy the ${button.dataset.copy}`);
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy).textContent);
      button.textContent = done ? "Copied" : "Select and copy it";
      say(done ? "Copied" : "It could not be copied");
      setTimeout(() => { button.textContent = label; }, 1800);
    });
  }

  // A link to a folded table opens it.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  window.addEventListener("hashchange", open);
  open();

  show();
})();
