// Opens what the wall leads to in one second tab, which the next link takes over: a wall that is left
// hears no SOS. On such a page "back" closes it and comes back to the wall that still lives.

const TAB = "xunlou-detail";

function plain(event) {
  return !(event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
}

// For the wall: every link that asks for the second tab. Where the browser opens none, the link goes on.
export function keepWall() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest(`a[target="${TAB}"]`);
    if (!link || !plain(event)) return;
    const tab = window.open(link.href, TAB);
    if (!tab) return;
    event.preventDefault();
    tab.focus();
  });
}

function livingWall() {
  try {
    const { opener } = window;
    return opener && !opener.closed && opener.document.body.classList.contains("wall-page") ? opener : null;
  } catch {
    return null; // it has gone to another site
  }
}

// For a page that the wall opened.
export function backToWall(link) {
  link.addEventListener("click", (event) => {
    const wall = plain(event) && livingWall();
    if (!wall) return;
    event.preventDefault();
    wall.focus();
    window.close();
  });
}
