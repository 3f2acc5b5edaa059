// Replaces the middle of the page by what the job says now. All of it is made
// by the server, which escapes it.
"use strict";
(function () {
  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const since = document.getElementById("since");
  let last = new Date();

  async function refresh() {
    if (!document.hidden && String(getSelection()) === "") {
      try {
        const answer = await fetch("live", { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.statusText);
        const scrolled = Array.from(live.querySelectorAll(".scroll"), e => e.scrollLeft);
        live.innerHTML = await answer.text();
        live.querySelectorAll(".scroll").forEach((e, i) => { e.scrollLeft = scrolled[i] || 0; });
        last = new Date();
        stale.hidden = true;
      } catch (e) {
        since.textContent = last.toLocaleTimeString();
        stale.hidden = false;
      }
    }
    setTimeout(refresh, 2000);
  }
  setTimeout(refresh, 2000);
})();
