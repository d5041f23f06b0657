// Reads pairs of an event and its payload, every text ended by a NUL byte, and compares what JSON.parse makes of both. Prints one line for each
// pair that differs, and how many there were.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const bytes = readFileSync(0);
const texts = [];
for (let start = 0, end; (end = bytes.indexOf(0, start)) >= 0; start = end + 1) texts.push(bytes.subarray(start, end));

function problem(event, payload) {
  try {
    const given = JSON.parse(decoder.decode(event)), sent = JSON.parse(decoder.decode(payload));
    const members = ["task_id", "status", "task_type", given.status === "completed" ? "result" : "error"];
    if (!isDeepStrictEqual(Object.keys(sent), members)) return `members ${Object.keys(sent)}`;
    return members.filter((member) => !isDeepStrictEqual(sent[member], given[member])).join(" and ");
  } catch (error) {
    return String(error);
  }
}

for (let i = 0; i < texts.length; i += 2) {
  const found = problem(texts[i], texts[i + 1]);
  if (found !== "") console.log(`${found}: ${texts[i].toString("utf-8").slice(0, 300)}`);
}
console.log(`${texts.length / 2} pairs`);
