// The handover's page: prints, and says when what was sent did not arrive. The form works without it.

const print = document.getElementById("print");
print.hidden = false;
print.addEventListener("click", () => window.print());

// htmx leaves the form as it is when nothing came back; the words say that it wasn't taken.
function unsent() {
  const place = document.getElementById("unsent");
  place.textContent = place.dataset.words;
  place.hidden = false;
}
document.body.addEventListener("htmx:sendError", unsent);
document.body.addEventListener("htmx:timeout", unsent);
document.body.addEventListener("htmx:responseError", unsent);
