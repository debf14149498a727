// Where it starts.
"use strict";

const problems = [];
window.addEventListener("error", (event) => problems.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => problems.push("blocked: " + event.violatedDirective + " " + event.blockedURI));
Page.start();
if (location.hash.startsWith("#selftest")) {
  requestAnimationFrame(() => setTimeout(() => {
    const answer = document.createElement("pre");
    answer.id = "selftest";
    answer.textContent = JSON.stringify(Selftest.run(problems, Number(location.hash.split("=")[1]) || 1));
    document.body.append(answer);
  }, 0)); // once the first frame is drawn
}
