// Keeps the page new: the gateway sends what changed as HTML that it escaped; here it takes the place of what differs.
(() => {
  "use strict";
  const RETRY = 5000;
  const live = document.getElementById("live");
  const pulse = document.getElementById("pulse");
  let ahead = 0;
  let at = pulse.textContent;

  const now = () => performance.now() / 1000 + ahead;
  const meet = (moment) => { ahead = moment - performance.now() / 1000; };

  const words = (seconds) => {
    const whole = Math.max(0, Math.trunc(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.trunc(whole / 60)} min ${whole % 60} s`;
    return `${Math.trunc(whole / 3600)} h ${Math.trunc(whole / 60) % 60} min`;
  };

  const tick = () => {
    for (const age of live.querySelectorAll("[data-since]")) {
      const said = words(now() - Number(age.dataset.since));
      if (age.textContent !== said) age.textContent = said;
    }
  };

  const morph = (old, fresh) => {
    if (old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const name of fresh.getAttributeNames()) {
      if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    }
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((child, place) => (place < before.length ? morph(before[place], child) : old.append(child)));
    before.slice(after.length).forEach((child) => child.remove());
  };

  const show = (said) => {
    meet(said.now);
    at = `as of ${said.at}`;
    const fresh = new DOMParser().parseFromString(`<div>${said.html}</div>`, "text/html").body.firstChild;
    fresh.id = live.id;
    morph(live, fresh);
    document.title = `${live.querySelector("h1").textContent} - secure_fl gateway`;
    tick();
  };

  let ticking = null;
  const say = (state, text) => {
    if (pulse.className !== state || pulse.textContent !== text) {
      pulse.className = state;
      pulse.textContent = text;
    }
    clearInterval(ticking);
    ticking = state === "live" ? setInterval(tick, 1000) : null;
  };

  const connect = () => {
    const events = new EventSource("status/events");
    const again = (text) => {
      say("lost", `${text}, ${at}`);
      events.close();
      setTimeout(connect, RETRY);
    };
    events.addEventListener("status", (event) => { show(JSON.parse(event.data)); say("live", "live"); });
    events.addEventListener("end", () => again("the gateway has ended"));
    events.addEventListener("error", () => again(pulse.textContent.startsWith("the gateway") ? "the gateway has ended" : "no connection"));
  };

  meet(Number(live.dataset.now));
  connect();
})();
