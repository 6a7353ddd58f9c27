(() => {
  const form = document.getElementById("confirm");
  const said = document.getElementById("said");
  let every = Number(form.dataset.every) || 5;
  let tries = 0;
  form.hidden = true;
  const stop = (words) => {
    said.textContent = words;
    document.getElementById("status").classList.add("over");
  };
  const ask = async () => {
    if (++tries > 120) return stop("No answer came. Choose another way, or ask again.");
    let reply, told;
    try {
      reply = await fetch(form.action, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(Object.fromEntries(new FormData(form))),
      });
      told = await reply.json();
    } catch {
      return setTimeout(ask, every * 1000);
    }
    if (reply.ok) {
      said.textContent = "Approved";
      return location.replace(told.return_to || form.dataset.back);
    }
    if (told.error === "authorization_pending") return setTimeout(ask, every * 1000);
    if (told.error === "slow_down") {
      every += 5;
      return setTimeout(ask, every * 1000);
    }
    stop(told.detail || "It did not work. Choose another way.");
  };
  setTimeout(ask, every * 1000);
})();
