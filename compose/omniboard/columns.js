// Which columns Omniboard's table of runs begins with, and in which order: what a scientist looks for comes first, and what
// is machinery (our whole record as JSON, host, format) is hidden. Applied once in each browser, when Omniboard has first
// laid out its own table; from then on the browser keeps what its user chooses ("Show/Hide Columns" has all of them).
(function () {
  "use strict";
  const TABLE = "sacristy|RunsTable|1"; // where Omniboard keeps its layout
  const DONE = "sacristy|columns|1";
  const FIRST = ["_id", "experiment_name", "status", "Score", "tags", "notes", "Stage", "Deployed", "Image", "Accepted"];
  const HIDDEN = ["sacristy", "hostname", "format", "command", "resources", "heartbeat", "stop_time", "Model", "c_seed"];

  function layout() {
    try {
      const kept = JSON.parse(localStorage.getItem(TABLE));
      return kept && kept.columnOrder && kept.columnOrder.includes("Score") ? kept : null;
    } catch (error) {
      return null;
    }
  }

  function place(name) {
    const found = FIRST.indexOf(name);
    return found < 0 ? FIRST.length : found;
  }

  function arrange(kept) {
    const shown = kept.columnOrder.filter((name) => !HIDDEN.includes(name)).sort((a, b) => place(a) - place(b));
    const options = kept.dropdownOptions.map((option) => ({ ...option, selected: shown.includes(option.value) }));
    options.sort((a, b) => place(a.value) - place(b.value));
    localStorage.setItem(TABLE, JSON.stringify({ ...kept, columnOrder: shown, dropdownOptions: options }));
    localStorage.setItem(DONE, "1");
  }

  if (localStorage.getItem(DONE)) return;
  const before = layout();
  if (before) {
    arrange(before); // Omniboard's own script, which reads it, comes after this one
    return;
  }
  const waiting = setInterval(() => {
    if (!layout()) return; // no run yet
    clearInterval(waiting);
    location.reload();
  }, 250);
})();
