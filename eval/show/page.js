
"use strict";
// Sortable tables: a button in each column's head; numbers by value, unmeasured cells last in both directions.
const numberIn = (text) => {
  const found = text === "off" ? ["0"] : text.replace(/,(?=\d{3})/g, "").match(/^(?:step )?([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)/);
  return found ? Number(found[1] ?? found[0]) : NaN;
};
const absent = (text) => text === "" || text === "-" || /^(not measured|undefined)/.test(text);
function sortBy(table, column, rising) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[column]?.textContent.trim() ?? "", row]);
  const numeric = rows.every(([text]) => absent(text) || !Number.isNaN(numberIn(text)));
  rows.sort(([one], [other]) => {
    if (absent(one) || absent(other)) return absent(one) - absent(other);
    const order = numeric ? numberIn(one) - numberIn(other) : one.localeCompare(other, "en", { numeric: true });
    return rising ? order : -order;
  });
  body.append(...rows.map(([, row]) => row));
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells].filter((cell) => cell.tagName === "TH");
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      sortBy(table, head.cellIndex, rising);
    });
  }
}
// Only regions that scroll can be focused by keyboard.
const scrolls = new ResizeObserver((entries) => {
  for (const { target } of entries)
    target.tabIndex = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight ? 0 : -1;
});
document.querySelectorAll("[role=region][tabindex]").forEach((region) => scrolls.observe(region));
// Filters the problems by words and by changed grade at a budget.
for (const filters of document.querySelectorAll(".filters")) {
  const part = (name) => filters.querySelector(`[name=${name}]`);
  const problems = [...filters.nextElementSibling.querySelectorAll("details.problem")];
  const written = (problem) => { // without the marks of cuts, which may divide a word
    const copy = problem.cloneNode(true);
    copy.querySelectorAll(".cut").forEach((cut) => cut.remove());
    return copy.textContent.toLowerCase();
  };
  const words = new Map(problems.map((problem) => [problem, written(problem)]));
  const changed = (problem, wanted, budget) => {
    if (wanted === "same") return new Set(Object.values(problem.dataset).map((grades) => grades[budget])).size === 1;
    return wanted.split(" ").every((each) => (problem.dataset[each.slice(0, -1)] ?? "")[budget] === each.slice(-1));
  };
  const apply = () => {
    const text = part("problem").value.trim().toLowerCase(), wanted = part("change").value, budget = Number(part("budget").value);
    for (const problem of problems)
      problem.hidden = !words.get(problem).includes(text) || (wanted !== "" && !changed(problem, wanted, budget));
    const shown = problems.filter((problem) => !problem.hidden).length;
    filters.querySelector("[role=status]").textContent = `${shown} of ${problems.length} problems`;
  };
  filters.addEventListener("input", apply);
  part("open").addEventListener("click", () => problems.forEach((problem) => { problem.open = !problem.hidden; }));
  part("close").addEventListener("click", () => problems.forEach((problem) => { problem.open = false; }));
  filters.hidden = false;
  apply();
}
