//! How several servers are written shortly, and that each can be read off.

import assert from "node:assert/strict"
import { test } from "node:test"
import { folded, groupsOf } from "../lib/fleet.js"

test("names that differ in a number are one", () => {
  const table = [
    [["web-1", "web-2", "web-3", "web-7"], "web-[1-3,7]"],
    [["db", "web-2", "web-1"], "db,web-[1-2]"],
    [["web-9", "web-10", "web-11"], "web-9,web-[10-11]"],
    [["web-08", "web-09", "web-10"], "web-[08-10]"],
    [["10.0.0.4", "10.0.0.5", "10.0.1.5"], "10.0.0.[4-5],10.0.1.5"],
    [["10.0.1.5", "10.0.2.5", "10.0.3.5"], "10.0.[1-3].5"],
    [["web-1.eu2.example.com", "web-2.eu2.example.com"], "web-[1-2].eu2.example.com"],
    // Short enough as they are.
    [["w1", "w2"], "w1,w2"],
    [["same", "same"], "same"],
    [["n".repeat(3) + "1".repeat(40), "a"], `a,nnn${"1".repeat(40)}`],
    [["odd[1-3]", "odd2"], "odd2, odd[1-3]"],
    [[], ""],
  ]
  for (const [names, expected] of table) assert.equal(folded(names), expected)
})

test("servers are together only where account, port, labels and origin are the same", () => {
  const place = (server, more) => ({ server, host: `${server}.example.com`, port: 22, user: "u", labels: ["a", "b"], scope: "global", ...more })
  const groups = groupsOf([
    place("web-1"),
    place("web-2", { labels: ["b", "a"] }),
    place("web-3", { user: "root" }),
    place("web-4", { port: 2200 }),
    place("web-5", { labels: [] }),
    place("web-6", { scope: "workspace" }),
  ])
  assert.deepEqual(groups.map(({ ids }) => ids), ["web-[1-2]", "web-3", "web-4", "web-5", "web-6"])
  assert.equal(groups[0].hosts, "web-[1-2].example.com")
  assert.deepEqual(groups.map(({ workspace }) => workspace), [false, false, false, false, true])
})
