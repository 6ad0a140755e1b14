"use strict";
// Stands first in a copy of a page and notes what goes wrong while the page comes up.
window.noted = { errors: [], violations: [] };
addEventListener("error", (event) => noted.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => noted.errors.push(String(event.reason)));
for (const name of ["error", "warn"]) {
  console[name] = (...words) => noted.errors.push(words.join(" "));
}
document.addEventListener("securitypolicyviolation", (event) => {
  // Where the test itself forbids the page's scripts, that they are stopped is what it wants.
  if (!(event.effectiveDirective.startsWith("script-src") && event.blockedURI === "inline")) noted.violations.push(event.blockedURI);
});
