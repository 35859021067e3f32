// Tables of the text: on a phone each row becomes a card, whose cells say which column they are of (see book.css); two columns of plain words have
// room as they are. The roles keep what the table means for a screen reader, which a changed layout would take away. A long table shows its first
// cards and a button for the others; on a desk and on paper it is whole.
(function () {
  "use strict";
  const CARDS = 6, LONG = 9;
  const roles = { THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TH: "columnheader", TD: "cell" };

  function label(table) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    if (heads.length < 3 && !table.querySelector("td:first-child code")) return;
    table.classList.add("cards");
    table.setAttribute("role", "table");
    for (const part of table.querySelectorAll("thead, tbody, tr, th, td")) part.setAttribute("role", roles[part.tagName]);
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, column) => cell.setAttribute("data-column", heads[column]));
    }
  }

  function fold(table) {
    const rows = table.tBodies[0] ? table.tBodies[0].rows.length : 0;
    if (rows < LONG) return;
    const button = document.createElement("button");
    const show = (all) => {
      table.classList.toggle("folded", !all);
      button.setAttribute("aria-expanded", String(all));
      button.textContent = all ? `Only the first ${CARDS} of ${rows} rows` : `All ${rows} rows`;
    };
    button.type = "button";
    button.className = "more-rows";
    button.addEventListener("click", () => show(table.classList.contains("folded")));
    table.after(button);
    show(false);
  }

  document.querySelectorAll(".bd-article table.table:not([role])").forEach(label);
  document.querySelectorAll(".bd-article table[role='table']").forEach(fold);
})();
