// Accessibility repairs for sphinx-book-theme 1.3.0 and myst-nb 1.4.0.
document.addEventListener("DOMContentLoaded", () => {
  const each = (selector, mend) => document.querySelectorAll(selector).forEach(mend);

  // The words on a control must be part of its name.
  each("button.search-button-field[aria-label], details > summary[aria-label]", (el) =>
    el.removeAttribute("aria-label"),
  );
  // The name of the theme button is on the button; its icons are ornaments.
  each(".theme-switch-button .theme-switch", (icon) => {
    icon.setAttribute("aria-hidden", "true");
    icon.removeAttribute("aria-label");
  });
  // Every word of the page belongs to a landmark.
  each("#pst-primary-sidebar:not([role]), .bd-sidebar-primary:not([role])", (side) => {
    side.setAttribute("role", "navigation");
    side.setAttribute("aria-label", "Book");
  });
  // docutils gives the references a role that has been withdrawn.
  each(".citation-list > .citation", (entry) => entry.setAttribute("role", "listitem"));
  // A header cell without words is no header.
  each("th.head", (th) => {
    if (!th.textContent.trim()) th.replaceWith(document.createElement("td"));
  });
  // What scrolls must be reachable by keyboard.
  const reachable = () =>
    each(".bd-content :is(pre, div.math, table, mjx-container[display])", (box) => {
      if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) box.tabIndex = 0;
    });
  reachable();
  addEventListener("resize", reachable);
  window.MathJax?.startup?.promise?.then(reachable);
});
