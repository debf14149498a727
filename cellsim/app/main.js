// Where it starts.
"use strict";

const problems = [];
window.addEventListener("error", (event) => problems.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => problems.push("blocked: " + event.violatedDirective + " " + event.blockedURI));
Page.start();
if (location.hash === "#selftest") {
  // after the first frame has been painted
  requestAnimationFrame(() => setTimeout(() => {
    const report = document.createElement("pre");
    report.id = "selftest";
    report.textContent = JSON.stringify(Selftest.run(problems));
    document.body.append(report);
  }, 50));
}
