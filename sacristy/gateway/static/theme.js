// Sets the theme before the first paint: what was chosen here, else what the system says. A classic script on purpose.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try {
      return localStorage.getItem("sacristy-theme");
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  if (kept() === "light" || kept() === "dark") root.dataset.theme = kept();

  function choose(theme) {
    const systems = theme === (system.matches ? "dark" : "light");
    if (systems) delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      if (systems) localStorage.removeItem("sacristy-theme");
      else localStorage.setItem("sacristy-theme", theme);
    } catch {
      return;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => button.setAttribute("aria-label", dark() ? "Use the light theme" : "Use the dark theme");
    button.addEventListener("click", () => {
      choose(dark() ? "light" : "dark");
      tell();
    });
    system.addEventListener("change", tell);
    tell();
  });
})();
