// Shows one step of what already stands in the page, with the eyes of one party. It computes nothing.
(() => {
  "use strict";
  const all = (root, query) => [...root.querySelectorAll(query)];
  const PAUSE = 2600;

  const look = (root, eyes, eavesdropper) => {
    for (const work of all(root, ".work")) {
      const mine = !eyes || work.dataset.party === eyes;
      const aside = work.querySelector(".aside");
      aside.hidden = mine;
      aside.textContent = `${eyes} does not see this.`;
      work.querySelector(".scroll").hidden = !mine;
    }
    for (const message of all(root, ".message")) {
      const gets = !eyes || eyes === eavesdropper || message.dataset.parties.split("|").includes(eyes);
      const aside = message.querySelector(".aside");
      aside.hidden = gets;
      aside.textContent = `${eyes} does not get this message. If it did, it would see:`;
      for (const cell of all(message, "td[data-readers]")) {
        cell.classList.toggle("closed", Boolean(eyes) && !cell.dataset.readers.split("|").includes(eyes));
      }
    }
  };

  const colour = (story) => {
    const names = [...new Set(all(story, "[data-twin]").map((line) => line.dataset.twin))];
    for (const line of all(story, "[data-twin]")) {
      line.querySelector("th").dataset.letter = String.fromCharCode(97 + names.indexOf(line.dataset.twin));
      line.style.setProperty("--twin", `hsl(${(names.indexOf(line.dataset.twin) * 360) / names.length} 65% 50%)`);
    }
    const link = (event, on) => {
      const line = event.target.closest("[data-twin]");
      if (line) all(story, `[data-twin="${line.dataset.twin}"]`).forEach((each) => each.classList.toggle("linked", on));
    };
    story.addEventListener("pointerover", (event) => link(event, true));
    story.addEventListener("pointerout", (event) => link(event, false));
  };

  class Play {
    constructor(root) {
      this.root = root;
      this.stories = all(root, ".story");
      this.step = 0;
      this.timer = null;
      this.stories.forEach(colour);
      all(root, ".stories input").forEach((radio) => radio.addEventListener("change", () => this.go(0)));
      root.querySelector(".eyes").addEventListener("change", () => this.show());
      all(root, "[data-go]").forEach((button) => button.addEventListener("click", () => this.press(button.dataset.go)));
      all(root, ".row").forEach((row) => row.addEventListener("click", () => { this.stop(); this.go(Number(row.dataset.step)); }));
      this.show();
    }

    get story() { return this.stories[Number(this.root.querySelector(".stories input:checked").value)]; }

    get last() { return all(this.story, ".step").length - 1; }

    press(what) {
      if (what === "play") return this.timer ? this.stop() : this.start();
      this.stop();
      return this.go({ first: 0, back: this.step - 1, on: this.step + 1, last: this.last }[what]);
    }

    go(step) {
      this.step = Math.max(0, Math.min(step, this.last));
      this.show();
    }

    start() {
      if (this.step === this.last) this.go(0);
      this.timer = setInterval(() => { this.go(this.step + 1); if (this.step === this.last) this.stop(); }, PAUSE);
      this.told();
    }

    stop() {
      clearInterval(this.timer);
      this.timer = null;
      this.told();
    }

    told() {
      const button = this.root.querySelector('[data-go="play"]');
      button.textContent = this.timer ? "Pause" : "Play";
      button.setAttribute("aria-pressed", String(Boolean(this.timer)));
    }

    show() {
      const story = this.story;
      this.stories.forEach((each) => each.classList.toggle("current", each === story));
      all(story, ".step").forEach((each) => each.classList.toggle("current", Number(each.dataset.step) === this.step));
      for (const row of all(story, ".row")) {
        const number = Number(row.dataset.step);
        row.classList.toggle("later", number > this.step);
        row.tabIndex = number === this.step ? 0 : -1;
        if (number === this.step) row.setAttribute("aria-current", "step"); else row.removeAttribute("aria-current");
      }
      if (document.activeElement.matches(".row")) story.querySelector(".row[aria-current]").focus({ preventScroll: true });
      const row = story.querySelector(".row[aria-current]"), diagram = story.querySelector(".diagram");
      const above = row.offsetTop - diagram.querySelector(".heads").offsetHeight;
      if (above < diagram.scrollTop) diagram.scrollTop = above;
      const below = row.offsetTop + row.offsetHeight - diagram.clientHeight;
      if (below > diagram.scrollTop) diagram.scrollTop = below;
      const title = story.querySelector(".step.current h3").lastChild.textContent.trim();
      this.root.querySelector("output").textContent = `Step ${this.step + 1} of ${this.last + 1}: ${title}`;
      for (const [names, ended] of [[["first", "back"], this.step === 0], [["on", "last"], this.step === this.last]]) {
        names.forEach((name) => this.root.querySelector(`[data-go="${name}"]`).setAttribute("aria-disabled", String(ended)));
      }
      look(story, this.root.querySelector(".eyes").value, this.root.dataset.eavesdropper);
    }
  }

  const curious = (root) => {
    const boxes = all(root, ".members input");
    const show = () => {
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value).join("|");
      root.querySelector(".nobody").hidden = chosen !== "";
      all(root, ".pool").forEach((pool) => pool.classList.toggle("current", pool.dataset.members === chosen));
    };

    boxes.forEach((box) => box.addEventListener("change", show));
    (boxes.find((box) => box.value === "aggregator") || boxes[0]).checked = true;
    show();
  };

  document.documentElement.classList.add("live");
  const plays = all(document, ".play").map((root) => new Play(root));
  all(document, ".curious").forEach(curious);
  const KEYS = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", p: "play", P: "play" };
  const inView = () => plays.find(({ root }) => root.getBoundingClientRect().bottom > innerHeight / 2) || plays[0];
  document.addEventListener("keydown", (event) => {
    const what = KEYS[event.key], at = event.target;
    if (!what || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (at.closest("input, select, .scroll")) return;
    const inside = plays.find((each) => each.root.contains(at));
    if (!inside && (at !== document.body || !event.key.startsWith("Arrow"))) return;
    (inside || inView()).press(what);
    event.preventDefault();
  });
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all(document, "details:not([open])");
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
})();
