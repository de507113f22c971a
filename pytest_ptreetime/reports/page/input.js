// What the mouse, fingers and keys do in a timeline.

function listen(timeline) {
  const { canvas, view, box, actions } = timeline;
  let drag = null;
  canvas.addEventListener("wheel", (event) => wheel(timeline, event), { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, from: view.from, to: view.to, scroll: box.scrollTop, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag === null) return actions.hover(timeline.pointed(event), event);
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.abs(dx) + Math.abs(dy) > 4;
    if (!drag.moved) return;
    const shift = (dx / timeline.width) * (drag.to - drag.from);
    view.show(drag.from - shift, drag.to - shift);
    if (event.pointerType === "mouse") box.scrollTop = drag.scroll - dy; // fingers scroll by themselves
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag !== null && !drag.moved) actions.select(timeline.pointed(event));
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", (event) => actions.hover(-1, event));
  canvas.addEventListener("dblclick", (event) => {
    const index = timeline.pointed(event);
    if (index >= 0) actions.select(index, { zoom: true });
  });
  canvas.addEventListener("keydown", (event) => key(timeline, event));
}

// A wheel scrolls the lanes, then the page, as everywhere, until a modifier says that time is meant.
function wheel(timeline, event) {
  const { view, canvas, width } = timeline;
  const x = event.clientX - canvas.getBoundingClientRect().left;
  if (event.ctrlKey || event.metaKey) view.zoom(Math.exp(event.deltaY * 0.002), timeline.time(x));
  else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.pan((event.deltaX || event.deltaY) / width);
  else return;
  event.preventDefault();
}

function key(timeline, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { build, selected, view, box } = timeline;
  const { select } = timeline.actions;
  const start = selected >= 0 ? selected : 0;
  const lanes = (step) => (box.scrollTop += step * ROW_HEIGHT);
  const actions = {
    "+": () => view.zoom(0.6),
    "=": () => view.zoom(0.6),
    "-": () => view.zoom(1 / 0.6),
    0: () => view.showAll(),
    Home: () => view.showAll(),
    PageUp: () => lanes(-4),
    PageDown: () => lanes(4),
    ArrowLeft: () => (event.shiftKey ? view.pan(-0.2) : select(selected < 0 ? 0 : build.neighbour(start, -1))),
    ArrowRight: () => (event.shiftKey ? view.pan(0.2) : select(selected < 0 ? 0 : build.neighbour(start, 1))),
    ArrowUp: () => (event.shiftKey ? lanes(-4) : select(build.parent[start] >= 0 ? build.parent[start] : start)),
    ArrowDown: () => (event.shiftKey ? lanes(4) : select(build.childCount[start] ? build.firstChild(start) : start)),
    Enter: () => selected >= 0 && select(selected, { zoom: true }),
    Escape: () => select(-1),
  };
  if (actions[event.key] === undefined) return;
  actions[event.key]();
  event.preventDefault();
}
