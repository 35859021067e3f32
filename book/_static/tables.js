// Tables of the text: on a phone each row becomes a card, whose cells say which column they are of (see book.css); two columns of plain words have
// room as they are. The roles keep what the table means for a screen reader, which a changed layout would take away.
(function () {
  "use strict";
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

  document.querySelectorAll(".bd-article table.table:not([role])").forEach(label);
})();
