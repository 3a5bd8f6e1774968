// What a page in Airflow's frame cannot do by itself: know Airflow's theme, and open a page outside of the frame.
"use strict";

function outer() {
  try {
    return window.parent !== window && window.parent.document ? window.parent.document : null;
  } catch {
    return null; // shown by another site's frame, or none of ours to look at
  }
}

function followTheme(airflow) {
  const root = airflow.documentElement;
  const read = () => {
    const theme = ["dark", "light"].find((name) => root.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  new MutationObserver(read).observe(root, { attributes: true, attributeFilter: ["class"] });
  read();
}

function openOutside(event) {
  const link = event.target.closest("a[data-outside]");
  const airflow = link && outer();
  if (!airflow) return;
  event.preventDefault(); // the frame is not allowed to open windows; Airflow's own page is
  const copy = airflow.createElement("a");
  Object.assign(copy, { href: link.href, target: "_blank", rel: "noreferrer" });
  copy.click();
}

if (outer()) followTheme(outer());
document.addEventListener("click", openOutside);
