"use strict";
// Draws the lanes of each instance from the data in the page, and filters, zooms and expands them.
// Texts from records become text nodes only.
(async () => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;

  // --- the theme -------------------------------------------------------------------------------

  const theme = $("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();
  theme.hidden = false;

  if (!$("data")) return;

  // --- the data --------------------------------------------------------------------------------

  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(stream).text();
  };
  const source = $("data");
  const data = JSON.parse(source.type.endsWith("json") ? source.textContent : await unpacked(source.textContent));

  const event = (number) => {
    const [time, name, principal, id, ...places] = data.events[number - 1];
    return { number, time, name: data.names[name], principal, id, places };
  };
  let newest = 0;
  const address = (back) => (back ? newest - back : newest++);
  const calls = data.calls.map(([number, instance, eni, error, added, removed, row, changes = []]) => ({
    ...event(number), instance, eni: data.enis[eni], error: error ? data.names[error - 1] : "", added: added.map(address), removed: removed.map(address), row,
    changes: changes.map((place) => data.names[place]).join("; "),
  }));
  const edge = (coded) => {
    if (typeof coded === "number") return { time: event(coded).time, basis: 0, event: event(coded) };
    const [time, basis, number] = coded;
    return { time, basis, event: number ? event(number) : null };
  };
  const instances = data.instances.map(([id, holes, interfaces]) => ({
    id, holes,
    interfaces: interfaces.map(([eni, kind, attachments, holdings, [since, until]]) => ({
      eni: data.enis[eni], kind, since, until,
      attachments: attachments.map((bounds) => bounds.map(edge)),
      holdings: holdings.map(([slots, ips, start, end, doubted]) => ({
        ips, doubted, start: edge(start), end: edge(end), slots: pairs(slots),
      })),
    })),
  }));
  for (const instance of instances) for (const lane of instance.interfaces) {
    lane.depth = 1;
    for (const holding of lane.holdings) {
      holding.from = Math.max(holding.start.time ?? 0, lane.since);
      holding.to = Math.min(holding.end.time ?? data.width, lane.until);
      holding.principal = holding.start.event ? holding.start.event.principal : -1;
      for (const [first, number] of holding.slots) lane.depth = Math.max(lane.depth, first + number);
    }
  }
  for (const instance of instances) instance.calls = [];
  for (const call of calls) instances[call.instance]?.calls.push(call);

  function pairs(flat) {
    const found = [];
    for (let i = 0; i < flat.length; i += 2) found.push([flat[i], flat[i + 1]]);
    return found;
  }

  // --- words -----------------------------------------------------------------------------------

  const BASES = ["", " (inferred)", " (unknown)", " (no end seen)"];
  const stamp = (x) => new Date((data.start + x) * 1000).toISOString().slice(0, 19).replace("T", " ");
  const clock = (x) => stamp(x).slice(11);
  const who = (principal) => data.principals[principal] ?? "unknown principal";
  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const addresses = (ips) => ips.map((place) => data.ips[place]).join(" ");
  const eventId = (id) => (id[0] === "=" ? id.slice(1) : id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));
  const cited = ({ number, id }) => `E${number} ${eventId(id)}`;
  const found = ({ places }) => pairs(places).map(([file, index]) => `${data.files[file].split("/").pop()}, record ${index}`).join("; ");
  const bound = (word, { time, basis, event: made }, never) => {
    if (time === null) return never;
    return `${word} ${stamp(time)}${BASES[basis]}${made ? ` by ${who(made.principal)}, ${cited(made)}` : ""}`;
  };
  const toneOf = (principal) => (principal < 0 ? 6 : Math.min(principal, 6));

  const aboutCall = (call) => [
    `${stamp(call.time)} ${call.name}${call.error ? " failed" : ""}`,
    `${who(call.principal)} on ${call.eni || "no ENI"}`,
    call.error,
    call.added.length ? `+${call.added.length}: ${addresses(call.added)}` : "",
    call.removed.length ? `−${call.removed.length}: ${addresses(call.removed)}` : "",
    call.changes,
    cited(call), found(call),
  ];
  const aboutHolding = (lane, holding) => [
    `${counted(holding.ips.length, "IP")} on ${lane.eni}`,
    addresses(holding.ips),
    bound("from", holding.start, "start not in the evidence"),
    bound("to", holding.end, "end not in the evidence"),
    holding.doubted ? "uncertain: a start or end is not logged, or another ENI may have had them" : "",
  ];

  // --- elements --------------------------------------------------------------------------------

  const make = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const draw = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const tip = make("div", { id: "tip", hidden: true });
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const showTip = (lines, x, y) => {
    tip.replaceChildren(...lines.filter(Boolean).map((line) => make("p", {}, line)));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  };
  const hideTip = () => { tip.hidden = true; };

  // --- the view: the time range that the chart shows -------------------------------------------

  const lanes = $("lanes");
  const axis = lanes.querySelector(".axis");
  lanes.insertAdjacentHTML("beforeend", data.folded); // as the report's template made it
  const sections = [...lanes.querySelectorAll(".instance")];
  const cross = make("div", { className: "cross", hidden: true }, make("b"));
  lanes.append(cross);
  const view = { from: 0, to: data.width };
  const filter = { principal: -1, instance: "", address: "", matches: [] };
  const track = () => {
    const box = axis.getBoundingClientRect();
    return { left: box.left, width: box.width };
  };
  const timeAt = (clientX) => {
    const { left, width } = track();
    return view.from + ((clientX - left) / width) * (view.to - view.from);
  };
  const placeOf = (time, width) => ((time - view.from) / (view.to - view.from)) * width;

  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000];
  const drawAxis = () => {
    const { width } = track();
    const wanted = ((view.to - view.from) * 110) / width;
    const step = STEPS.find((length) => length >= wanted) ?? 31536000;
    const ticks = [];
    const offset = ((data.start % step) + step) % step;
    for (let time = Math.ceil((view.from + offset) / step) * step - offset; time < view.to; time += step) {
      const day = step >= 86400 || (data.start + time) % 86400 === 0;
      const tick = make("span", {}, day ? stamp(time).slice(0, 10) : step < 60 ? clock(time) : clock(time).slice(0, 5));
      tick.style.left = `${placeOf(time, 100)}%`;
      tick.classList.toggle("late", placeOf(time, 100) > 90);
      ticks.push(tick);
    }
    axis.className = "axis ticks";
    const [first, last] = [stamp(view.from), stamp(view.to)].map((text) => text.slice(0, 10));
    $("day").textContent = `${first === last ? first : `${first} to ${last}`} UTC`;
    axis.replaceChildren(...ticks);
  };

  const zoom = (from, to) => {
    const width = Math.min(Math.max(to - from, 5), data.width);
    view.from = Math.min(Math.max(from, 0), data.width - width);
    view.to = view.from + width;
    redraw();
  };
  const zoomBy = (factor, middle = (view.from + view.to) / 2) =>
    zoom(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);

  // --- lanes -----------------------------------------------------------------------------------

  const wantsCall = (call) =>
    (filter.principal < 0 || call.principal === filter.principal) &&
    (!filter.instance || (instances[call.instance]?.id ?? "").includes(filter.instance)) &&
    (!filter.address || [...call.added, ...call.removed].some(matchesAddress));
  const wantsHolding = (holding) =>
    (filter.principal < 0 || holding.principal === filter.principal || holding.end.event?.principal === filter.principal) &&
    (!filter.address || holding.ips.some(matchesAddress));
  const matchesAddress = (place) => filter.matches[place];

  const blockOf = (text) => { // the numbers from which and up to which an IPv4 address or CIDR block goes
    const [, ip, bits = 32] = text.match(/^(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?$/) ?? [];
    if (!ip) return null;
    const number = ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - bits);
    const from = number - (number % size);
    return [from, from + size];
  };
  const addressMatcher = (text) => {
    const wanted = blockOf(text);
    if (!wanted) return data.ips.includes(text) ? (ip) => ip === text : (ip) => ip.startsWith(text);
    return (ip) => {
      const held = blockOf(ip);
      return held !== null && held[0] < wanted[1] && wanted[0] < held[1];
    };
  };

  const ROW = 6;
  const paths = (parts) => Object.entries(parts).map(([name, path]) => draw("path", { class: name, d: path }));

  const drawLane = (svg, lane, holes) => {
    const width = svg.clientWidth;
    const row = Math.max(2, Math.min(ROW, 180 / lane.depth));
    const height = Math.max(lane.depth * row + 6, 34);
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const x = (time) => Math.min(Math.max(placeOf(time, width), -2), width + 2);
    const back = holes.map(([from, length]) => draw("rect", { class: "hole", x: x(from), width: Math.max(x(from + length) - x(from), 0), y: 0, height }));
    for (const [start, end] of lane.attachments) {
      const from = x(start.time ?? lane.since);
      back.push(draw("rect", { class: "stay", x: from, width: Math.max(x(end.time ?? lane.until) - from, 1), y: 0, height }));
    }
    const bars = {};
    const heads = {};
    const labels = [];
    for (const holding of lane.holdings) {
      const [from, to] = [x(holding.from), x(holding.to)];
      if (holding.to < view.from || holding.from > view.to) continue;
      const tone = `a${toneOf(holding.principal)}${wantsHolding(holding) ? "" : " faint"}`;
      const bar = `bar ${tone}${holding.doubted ? " soft" : ""}`;
      for (const [first, number] of holding.slots) {
        const [top, deep] = [3 + first * row, number * row];
        bars[bar] = (bars[bar] ?? "") + `M${from.toFixed(1)} ${top}h${Math.max(to - from, 1.5).toFixed(1)}v${deep}H${from.toFixed(1)}z`;
        if (holding.start.time !== null && holding.start.time >= lane.since) {
          const head = `head ${tone}`;
          heads[head] = (heads[head] ?? "") + `M${(from + 1).toFixed(1)} ${top}v${deep}`;
        }
        if (number * row >= 14 && to - from > 84 && wantsHolding(holding)) {
          labels.push(draw("text", { class: "label", x: Math.max(from, 0) + 7, y: top + deep / 2 + 4 }, counted(number, "IP")));
        }
      }
    }
    let grid = "";
    for (let slot = 0; row >= 4 && slot <= lane.depth; slot += 1) grid += `M0 ${3 + slot * row}h${width}`;
    svg.replaceChildren(...back, ...paths(bars), draw("path", { class: "grid", d: grid }), ...paths(heads), ...labels);
    svg.holdingAt = (time, y) => {
      const slot = Math.floor((y - 3) / row);
      const near = ((view.to - view.from) * 3) / width;
      const at = lane.holdings.filter((holding) => holding.from <= time + near && time <= Math.max(holding.to, holding.from) + near);
      return at.find((holding) => holding.slots.some(([first, number]) => first <= slot && slot < first + number));
    };
  };

  const drawCalls = (svg, instance) => {
    const [width, height] = [svg.clientWidth, 22];
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const ticks = {};
    for (const call of instance.calls) {
      if (call.time < view.from || call.time > view.to) continue;
      const x = placeOf(call.time, width).toFixed(1);
      const name = `tick a${toneOf(call.principal)}${call.error ? " failed" : ""}${wantsCall(call) ? "" : " faint"}`;
      ticks[name] = (ticks[name] ?? "") + (call.error ? `M${x - 4} 7l8 8m0 -8l-8 8` : `M${x} 4v14`);
    }
    svg.replaceChildren(...paths(ticks));
  };

  const addLanes = (section, instance) => {
    const tables = section.querySelector(".tables");
    const rows = [];
    const add = (svg, ...label) => rows.push(make("div", { className: "shell lane" }, ...label), svg);
    const track = (label) => draw("svg", { preserveAspectRatio: "none", tabindex: 0, role: "img", "aria-label": label });
    instance.ticks = track(`${counted(instance.calls.length, "call")}; arrow keys go from one to the next`);
    add(instance.ticks, counted(instance.calls.length, "call"));
    for (const lane of instance.interfaces) {
      lane.svg = track(`${lane.eni}: ${counted(lane.holdings.length, "holding")}; arrow keys go from one to the next`);
      add(lane.svg, make("code", {}, lane.eni), make("p", {}, lane.kind));
    }
    for (const element of rows) section.insertBefore(element, tables);
    return rows;
  };

  const OPEN = 6; // instances that show their lanes at first
  const prepare = (section, instance, isOpen) => {
    let rows = null;
    const open = make("button", { type: "button" });
    section.querySelector(".shell").append(open);
    instance.show = (shown) => {
      instance.open = shown;
      if (shown) rows ??= addLanes(section, instance);
      for (const element of rows ?? []) element.toggleAttribute("hidden", !shown);
      open.textContent = shown ? "Hide lanes" : counted(instance.interfaces.length, "lane");
      open.setAttribute("aria-expanded", shown);
      section.drawn = false;
    };
    open.addEventListener("click", () => { instance.show(!instance.open); paint(); });
    section.pool = section.querySelector(".pool svg");
    section.instance = instance;
    instance.show(isOpen);
  };

  const seen = new Set();
  const paint = () => {
    for (const section of seen) {
      if (section.drawn) continue;
      const { instance } = section;
      const box = section.pool.viewBox.baseVal;
      section.pool.setAttribute("viewBox", `${view.from} 0 ${view.to - view.from} ${box.height}`);
      if (instance.open) {
        drawCalls(instance.ticks, instance);
        for (const lane of instance.interfaces) drawLane(lane.svg, lane, instance.holes);
      }
      section.drawn = true;
    }
  };
  const redraw = () => {
    for (const section of sections) section.drawn = false;
    drawAxis();
    paint();
  };
  sections.forEach((section, place) => prepare(section, instances[place], place < OPEN));
  const watcher = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) seen[isIntersecting ? "add" : "delete"](target);
    paint();
  }, { rootMargin: "1500px" });
  sections.forEach((section) => watcher.observe(section));
  new ResizeObserver(redraw).observe(lanes);

  // --- pointing --------------------------------------------------------------------------------

  const point = (time) => {
    if (time === null || time < view.from || time > view.to) { cross.hidden = true; return; }
    const { left, width } = track();
    cross.hidden = false;
    cross.style.left = `${left - lanes.getBoundingClientRect().left + placeOf(time, width)}px`;
    cross.firstChild.textContent = clock(Math.round(time));
  };
  const partOf = (target) => {
    const section = target.closest?.(".instance");
    return section ? [section, section.instance] : [];
  };
  const aboutPoint = (target, clientX, clientY) => {
    const [section, instance] = partOf(target);
    const svg = target.closest?.("svg");
    if (!section || !svg) return null;
    const time = timeAt(clientX);
    const reach = ((view.to - view.from) * 6) / track().width;
    if (svg === instance.ticks) {
      const near = instance.calls.filter((call) => Math.abs(call.time - time) <= reach && wantsCall(call));
      near.sort((one, other) => Math.abs(one.time - time) - Math.abs(other.time - time));
      if (!near.length) return null;
      return [...aboutCall(near[0]), near.length > 1 ? `and ${counted(near.length - 1, "call")} more here` : ""];
    }
    if (section.pool.parentNode.contains(svg)) {
      return [`${stamp(Math.round(time))}`, `${counted(levelAt(section.pool, time), "IP")} on ${instance.id || "no known instance"}`];
    }
    const lane = instance.interfaces.find((lane) => lane.svg === svg);
    const holding = lane && svg.holdingAt?.(time, clientY - svg.getBoundingClientRect().top);
    return holding ? aboutHolding(lane, holding) : null;
  };
  const levelAt = (pool, time) => {
    const path = pool.querySelector("path:not(.limit)").getAttribute("d");
    const height = pool.viewBox.baseVal.height;
    let level = height;
    let x = 0;
    for (const [, command, value] of path.slice(1).matchAll(/([HV])(\d+)/g)) {
      if (command === "H") x = Number(value);
      if (x > time) break;
      if (command === "V") level = Number(value);
    }
    return height - level;
  };

  let dragged = null;
  lanes.addEventListener("pointermove", (move) => {
    const inside = move.target.closest?.("svg");
    if (dragged) {
      const box = lanes.getBoundingClientRect();
      const [from, to] = [dragged.x, move.clientX].sort((one, other) => one - other);
      dragged.mark.style.left = `${from - box.left}px`;
      dragged.mark.style.width = `${to - from}px`;
      return;
    }
    point(inside ? timeAt(move.clientX) : null);
    const lines = inside && aboutPoint(move.target, move.clientX, move.clientY);
    if (lines) showTip(lines, move.clientX, move.clientY);
    else hideTip();
  });
  lanes.addEventListener("pointerleave", () => { point(null); hideTip(); });
  lanes.addEventListener("pointerdown", (press) => {
    if (press.button !== 0 || press.pointerType === "touch" || !press.target.closest?.("svg")) return;
    dragged = { x: press.clientX, mark: make("div", { className: "drag" }) };
    lanes.append(dragged.mark);
    hideTip();
  });
  addEventListener("pointerup", (release) => {
    if (!dragged) return;
    const [from, to] = [dragged.x, release.clientX].sort((one, other) => one - other);
    dragged.mark.remove();
    dragged = null;
    if (to - from > 5) zoom(timeAt(from), timeAt(to));
  });
  lanes.addEventListener("dblclick", () => zoom(0, data.width));
  lanes.addEventListener("wheel", (turn) => {
    if (!turn.ctrlKey && !turn.metaKey) return;
    turn.preventDefault();
    zoomBy(turn.deltaY > 0 ? 1.25 : 0.8, timeAt(turn.clientX));
  }, { passive: false });

  const stepTo = (svg, direction) => {
    const [, instance] = partOf(svg);
    const lane = instance.interfaces.find((lane) => lane.svg === svg);
    const stops = lane ? lane.holdings.filter(wantsHolding) : instance.calls.filter(wantsCall);
    if (!stops.length) return;
    svg.stop = ((svg.stop ?? (direction > 0 ? -1 : 0)) + direction + stops.length) % stops.length;
    const stop = stops[svg.stop];
    const time = lane ? stop.from : stop.time;
    if (time < view.from || time > view.to) zoom(time - (view.to - view.from) / 2, time + (view.to - view.from) / 2);
    const { left, width } = track();
    point(time);
    showTip(lane ? aboutHolding(lane, stop) : aboutCall(stop), left + placeOf(time, width), svg.getBoundingClientRect().bottom);
  };
  lanes.addEventListener("keydown", (key) => {
    const svg = key.target.closest?.("svg");
    const pan = (view.to - view.from) / 4;
    const acts = {
      "+": () => zoomBy(0.6), "=": () => zoomBy(0.6), "-": () => zoomBy(1 / 0.6), 0: () => zoom(0, data.width),
      ArrowRight: () => (key.shiftKey ? zoom(view.from + pan, view.to + pan) : stepTo(svg, 1)),
      ArrowLeft: () => (key.shiftKey ? zoom(view.from - pan, view.to - pan) : stepTo(svg, -1)),
      Escape: () => { hideTip(); point(null); },
    };
    if (!svg || !acts[key.key]) return;
    key.preventDefault();
    acts[key.key]();
  });
  lanes.addEventListener("focusout", () => { hideTip(); point(null); });
  $("in").addEventListener("click", () => zoomBy(0.6));
  $("out").addEventListener("click", () => zoomBy(1 / 0.6));
  $("whole").addEventListener("click", () => zoom(0, data.width));

  // --- the timeline ----------------------------------------------------------------------------

  const table = document.querySelector(".calls .rows");
  const rows = [...table.rows];
  const parts = rows.map(() => []);
  for (const call of calls) parts[call.row].push(call);

  const CHUNK = 200;
  const partRow = (call) => {
    const row = make("tr", { className: "part" });
    const moved = [call.added.length ? `+${addresses(call.added)}` : "", call.removed.length ? `−${addresses(call.removed)}` : "", call.changes, call.error];
    const cells = [stamp(call.time), call.name, "", `${call.eni} ${instances[call.instance]?.id ?? ""}`, moved.filter(Boolean).join(" "), `${cited(call)} ${found(call)}`];
    row.append(...cells.map((text) => make("td", {}, text)));
    return row;
  };
  const expand = (place, from) => {
    const wanted = parts[place].filter(wantsCall);
    const shown = wanted.slice(from, from + CHUNK).map(partRow);
    const rest = wanted.length - from - shown.length;
    if (rest > 0) {
      const more = make("button", { type: "button", className: "more" }, `${rest.toLocaleString("en")} more`);
      const row = make("tr", { className: "part" }, make("td", { colSpan: 6 }, more));
      more.addEventListener("click", () => row.replaceWith(...expand(place, from + CHUNK)));
      shown.push(row);
    }
    return shown;
  };
  const collapse = (row) => {
    while (row.nextSibling?.className === "part") row.nextSibling.remove();
  };
  rows.forEach((row, place) => {
    row.tabIndex = -1;
    row.addEventListener("pointerenter", () => point(parts[place][0].time));
    row.addEventListener("pointerleave", () => point(null));
    if (parts[place].length < 2) return;
    const button = make("button", { type: "button", className: "more" }, "expand");
    button.setAttribute("aria-expanded", "false");
    row.cells[1].append(" ", button);
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      button.textContent = open ? "expand" : "collapse";
      collapse(row);
      if (!open) row.after(...expand(place, 0));
    });
  });

  addEventListener("beforeprint", () => {
    for (const section of sections) {
      const tables = section.querySelector(".tables");
      if (tables) tables.open = true;
      if (section.instance.open) seen.add(section);
    }
    paint();
  });

  // --- filters ---------------------------------------------------------------------------------

  const tools = $("tools");
  const usedPrincipals = new Set(calls.map((call) => call.principal));
  data.principals.forEach((name, place) => {
    if (usedPrincipals.has(place)) $("principal").append(make("option", { value: String(place) }, name));
  });
  $("instance").parentNode.hidden = instances.length < 2;
  $("instances").append(...instances.map(({ id }) => make("option", { value: id })));
  const applyFilter = () => {
    filter.principal = $("principal").value === "" ? -1 : Number($("principal").value);
    filter.instance = $("instance").value.trim();
    filter.address = $("address").value.trim();
    filter.matches = data.ips.map(addressMatcher(filter.address));
    const kept = calls.filter(wantsCall);
    const keptRows = new Set(kept.map((call) => call.row));
    rows.forEach((row, place) => {
      collapse(row);
      row.hidden = !keptRows.has(place);
      const button = row.querySelector(".more");
      if (button) { button.textContent = "expand"; button.setAttribute("aria-expanded", "false"); }
    });
    const all = filter.principal < 0 && !filter.address;
    const keptInstances = new Set(kept.map((call) => call.instance));
    sections.forEach((section, place) => {
      const instance = instances[place];
      const named = !filter.instance || instance.id.includes(filter.instance);
      const holds = all || keptInstances.has(place) || instance.interfaces.some((lane) => lane.holdings.some(wantsHolding));
      section.hidden = !(named && holds);
    });
    document.querySelector(".calls .empty").hidden = kept.length > 0;
    $("shown").textContent = kept.length === calls.length ? "" : kept.length ? `${kept.length.toLocaleString("en")} of ${counted(calls.length, "call")}` : "no calls match";
    redraw();
  };
  tools.addEventListener("input", applyFilter);
  tools.addEventListener("reset", () => setTimeout(() => { $("address").value = ""; applyFilter(); }));
  tools.addEventListener("submit", (sent) => sent.preventDefault());
  tools.hidden = false;

  // --- nodes -----------------------------------------------------------------------------------

  document.querySelector("#nodes details tbody")?.insertAdjacentHTML("beforeend", data.nodes); // as the template made it
  const nodes = [...document.querySelectorAll("#nodes tbody tr")];
  const findNodes = () => {
    const wanted = $("node").value.trim().toLowerCase();
    const found = nodes.filter((row) => [...row.cells].slice(0, 3).some((cell) => cell.textContent.toLowerCase().includes(wanted)));
    for (const row of nodes) row.hidden = !found.includes(row);
    const rest = document.querySelector("#nodes details");
    if (rest && wanted) rest.open = true;
    $("found-nodes").textContent = wanted ? `${found.length.toLocaleString("en")} of ${counted(nodes.length, "node")}` : "";
  };
  if (nodes.length) {
    $("node").addEventListener("input", findNodes);
    $("find-node").hidden = false;
    const rest = document.querySelector("#nodes details");
    if (rest) rest.hidden = false;
  }
  applyFilter();
  root.dataset.ready = "true";
})();
