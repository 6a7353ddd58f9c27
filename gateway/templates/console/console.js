(() => {
  const main = document.getElementById("main");
  // Moments are written in the zone of whoever looks; without a script they stay in UTC.
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const local = (root) => {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time")) {
      const moment = new Date(time.dateTime);
      const short = !("day" in time.dataset) && moment.toDateString() === today;
      time.textContent = (short ? clock : day).format(moment);
      time.title = moment.toISOString();
    }
  };
  local(document);
  document.getElementById("zone").textContent = "in your own zone";
  if (!main.dataset.live) return;

  const live = document.getElementById("live");
  const said = document.getElementById("live-said");
  const show = (on) => {
    live.hidden = false;
    live.classList.toggle("off", !on);
    said.textContent = on ? "live" : "not connected";
  };
  const renew = (id, html) => {
    const part = document.getElementById(id);
    if (!part) return;
    // Whoever walks by keyboard stays where they are.
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    part.innerHTML = html;
    part.querySelectorAll(".scroll").forEach((box, at) => { box.scrollLeft = scrolled[at] || 0; });
    local(part);
    if (focused) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  const open = () => {
    const source = new EventSource(main.dataset.live);
    source.onopen = () => show(true);
    source.onmessage = (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) renew(id, html);
    };
    source.onerror = () => {
      show(false);
      // Nothing more happens to a session that has ended.
      if (document.getElementById("who")?.innerHTML.trim() === "") {
        source.close();
        said.textContent = "ended";
        return;
      }
      // A refused stream is not opened anew by the browser itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
  };
  open();
})();
