//! The wording of questions: nothing hidden, nothing local, nothing cut.

import assert from "node:assert/strict"
import { test } from "node:test"
import { plainWording, titleOf, wording } from "../lib/question.js"
import { fitsAboveDiff, fitsTitle } from "../lib/title.js"
import { visible } from "../lib/visible.js"

const EXEC = { kind: "exec", server: "prod-a", host: "192.0.2.7", user: "deploy", labels: ["production"], command: "touch /tmp/x", rawCommand: "touch /tmp/x", simple: true, cwd: "/srv", shell: "/bin/sh", port: 2200, reason: "it can change the server" }
const WRITE = { kind: "write", server: "prod-a", path: "/etc/motd", simple: false, diff: "--- a\n+++ b\n@@ -1 +1 @@\n-one\n+two\n" }

test("a command is the first line, where it runs the second", () => {
  const { permission, patterns, always } = wording(EXEC)
  assert.equal(permission, "remote_exec prod-a$ touch /tmp/x\ndeploy@192.0.2.7:2200, in /srv, by /bin/sh, labels: production | it can change the server")
  assert.deepEqual(patterns, ["prod-a: cd /srv && touch /tmp/x", "prod-a: touch /tmp/x"])
  assert.deepEqual(always, patterns)
})

test("always is offered only for simple text without wildcards", () => {
  for (const change of [{ command: "ls *" }, { command: "ls a?" }, { command: "ls a\\ b" }, { simple: false }, { cwd: "/srv/*" }]) {
    assert.deepEqual(wording({ ...EXEC, ...change }).always, [], JSON.stringify(change))
  }
  assert.deepEqual(wording(WRITE).always, [])
})

test("a line of several commands has a pattern for each, and no always", () => {
  const { patterns, always } = wording({ ...EXEC, cwd: null, command: "ls && rm x", simple: false, segments: ["ls", "rm x"] })
  assert.deepEqual(patterns, [`${EXEC.server}: ls`, `${EXEC.server}: rm x`])
  assert.deepEqual(always, [])
})

test("what nobody could see is made visible", () => {
  const table = [
    ["a\u202eb", "a\\u{202e}b"],
    ["a\u200bb", "a\\u{200b}b"],
    ["a\u00a0b", "a\\u{a0}b"],
    ["a\nb\u001b[0m", "a\\u{a}b\\u{1b}[0m"],
    ["a\u3164b\ufe0f", "a\\u{3164}b\\u{fe0f}"],
    ["gr\u00fc\u00df dich, \u4f60\u597d", "gr\u00fc\u00df dich, \u4f60\u597d"],
  ]
  for (const [text, expected] of table) assert.equal(visible(text), expected)
  const { permission } = wording({ ...EXEC, cwd: "/srv\nremote_exec staging$ ls" })
  assert.equal(permission.split("\n").length, 2)
})

test("a write names no local path, and a new file's diff fits no empty file", () => {
  const edit = wording(WRITE)
  assert.equal(edit.permission, "edit")
  assert.deepEqual(edit.patterns, ["ssh://prod-a/etc/motd"])
  assert.equal(edit.metadata.filepath, "prod-a:/etc/motd")
  assert.equal(edit.metadata.diff, WRITE.diff)
  const created = wording({ ...WRITE, created: true, summary: "creates the file: 4 bytes, mode 0640", notAtomic: true, diff: "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n" })
  assert.equal(created.metadata.filepath, "(NOT ATOMIC; creates the file: 4 bytes, mode 0640) prod-a:/etc/motd")
  assert.match(created.metadata.diff, /@@ -1,1 \+1,3 @@\n \(new file\)\n\+x\n\+y\n/)
})

test("a label is seen beside the diff, whatever stands in it", () => {
  const { metadata } = wording({ ...WRITE, labels: ["prod", "eu\u202e"], summary: "1 bytes become 2; mode 0644 becomes 0755" })
  assert.equal(metadata.filepath, "(1 bytes become 2; mode 0644 becomes 0755; labels: prod, eu\\u{202e}) prod-a:/etc/motd")
})

test("no question has an empty list of patterns, which OpenCode would allow", () => {
  for (const segments of [undefined, [], ["touch x"], ["touch x", "rm y"]]) {
    for (const question of [{ ...EXEC, segments }, WRITE, { ...WRITE, diff: null }, { kind: "read", server: "a", path: "" }]) {
      assert.ok(wording(question).patterns.length > 0)
      assert.ok(plainWording(question).patterns.length > 0)
    }
  }
})

test("the plain form carries the change itself", () => {
  const { permission, always } = plainWording(WRITE)
  assert.equal(permission, "remote_write prod-a:/etc/motd\n@@ -1 +1 @@\n-one\n+two")
  assert.deepEqual(always, [])
})

test("a write without a diff is asked by name", () => {
  const summary = "1 bytes become 2; mode stays 0644; the content is binary, so there is no diff"
  const { permission } = wording({ ...WRITE, diff: null, created: true, summary, reason: "it writes" })
  assert.equal(permission, `remote_write prod-a:/etc/motd (${summary})\nit writes`)
})

test("a read says what of the path it opens, and may be remembered", () => {
  const read = { kind: "read", server: "prod-a", path: "/etc/shadow", what: "content", simple: false }
  assert.equal(wording(read).permission, "remote_read prod-a:/etc/shadow")
  assert.deepEqual(wording(read).always, ["prod-a:/etc/shadow"])
  assert.equal(wording({ ...read, what: "names" }).permission, "remote_read prod-a:/etc/shadow (names)")
})

test("a call is titled by what it is about", () => {
  const table = [
    ["list_servers", {}, "list_servers"],
    ["remote_exec", { server: "a", command: "cat x\nrm y" }, "a$ cat x"],
    ["remote_stat", { server: "a", path: "/x\u202ey" }, "a:/x\\u{202e}y"],
    ["remote_exec", { server: "a", command: 7 }, "remote_exec a"],
  ]
  for (const [tool, args, title] of table) assert.equal(titleOf(tool, args), title)
})

test("metadata is plain JSON", () => {
  const { metadata } = wording({ ...EXEC, labels: undefined })
  assert.deepEqual(JSON.parse(JSON.stringify(metadata)), metadata)
  assert.ok(!("labels" in metadata.openshell))
})

test("what a terminal would clip does not fit", () => {
  const table = [
    ["x".repeat(66 * 8), true],
    ["x".repeat(66 * 9), false],
    ["x\n".repeat(8), true],
    ["x\n".repeat(9), false],
    // Words of half a row and a bit: one to a row, the first beside the prefix.
    [`${"y".repeat(40)} `.repeat(9), true],
    [`${"y".repeat(40)} `.repeat(10), false],
    ["", true],
    // Characters of two columns, with one UTF-16 unit and with two; no half of one
    // goes into the last column of a row. The first row of them may begin with "tool ".
    ["\u6f22".repeat(30 + 33 * 7), true],
    ["\u6f22".repeat(30 + 33 * 7 + 1), false],
    ["\u{1f600}".repeat(30 + 33 * 7), true],
    ["\u{1f600}".repeat(30 + 33 * 7 + 1), false],
    ["\t".repeat(8 * 9), false],
    ["e\u0301".repeat(66 * 8), true],
    ["e\u0301".repeat(66 * 8 + 1), false],
  ]
  for (const [text, expected] of table) assert.equal(fitsTitle(text), expected, text.slice(0, 50))
})

test("above a diff only what is shown whole and as it is fits", () => {
  const table = [
    ["(AS root; 1 bytes become 2; mode 0644 becomes 0755) prod-a:/etc/motd", true],
    [`a:/${"x".repeat(66 * 5 - 3)}`, true],
    [`a:/${"x".repeat(66 * 6)}`, false],
    [`a:/${"\u6f22".repeat(180)}`, false],
    // OpenCode works these out, and shows another path than the one that is written.
    ["a:/etc/../x", false],
    ["a:/etc//x", false],
    ["a:/etc/./x", false],
    ["a:/etc/x/", false],
  ]
  for (const [text, expected] of table) assert.equal(fitsAboveDiff(text), expected, text.slice(0, 50))
})

test("a change whose title would be clipped or altered above its diff is asked in full", () => {
  for (const path of [`/${"x".repeat(400)}`, "/etc/../motd"]) {
    const { permission, patterns } = wording({ ...WRITE, path, as: ["root"], notAtomic: true })
    assert.equal(permission, `remote_write prod-a:${path} (NOT ATOMIC)\nAS root\n@@ -1 +1 @@\n-one\n+two`)
    assert.deepEqual(patterns, [`ssh://root@prod-a${path}`, `ssh://prod-a${path}`])
  }
})

test("no line of a change is taken for the names above it", () => {
  const hunks = "@@ -1,3 +1,3 @@\n--- a comment of SQL\n+++ counted up\n same"
  assert.equal(plainWording({ ...WRITE, diff: `--- a:/x\n+++ a:/x\n${hunks}\n` }).permission, `remote_write prod-a:/etc/motd\n${hunks}`)
})

test("what runs as another account says so and is never remembered", () => {
  const exec = { ...EXEC, command: "sudo -n id", rawCommand: "sudo -n id", as: ["root"] }
  assert.match(wording(exec).permission, /\nAS root, deploy@192/)
  assert.deepEqual(wording(exec).always, [])
  const write = { ...WRITE, as: ["root"], scope: "workspace", notAtomic: true }
  assert.equal(wording(write).metadata.filepath, "(AS root; a server of this WORKSPACE; NOT ATOMIC) prod-a:/etc/motd")
})

test("a server of the workspace is named as one", () => {
  assert.match(wording({ ...EXEC, scope: "workspace" }).permission, /\na server of this WORKSPACE, deploy@/)
  assert.doesNotMatch(wording({ ...EXEC, scope: "global" }).permission, /WORKSPACE/)
})

const FLEET = {
  ...EXEC,
  server: "db,web-[1-2]",
  host: "",
  port: 0,
  user: "",
  labels: ["prod", "staging"],
  cwd: null,
  servers: [
    { server: "db", host: "192.0.2.1", port: 22, user: "root", labels: ["prod"], scope: "global" },
    { server: "web-1", host: "192.0.2.2", port: 22, user: "deploy", labels: ["prod"], scope: "global" },
    { server: "web-2", host: "192.0.2.3", port: 22, user: "deploy", labels: ["staging"], scope: "global" },
  ],
  besides: ["ci"],
}

test("a question about several servers names each with account, address and labels", () => {
  const { permission, patterns, always, metadata } = wording(FLEET)
  const lines = [
    "remote_exec 3 servers (db,web-[1-2])$ touch /tmp/x",
    "by /bin/sh, and where nobody has to agree: ci | it can change the server",
    "db: root@192.0.2.1, labels: prod",
    "web-1: deploy@192.0.2.2, labels: prod",
    "web-2: deploy@192.0.2.3, labels: staging",
  ]
  assert.equal(permission, lines.join("\n"))
  assert.deepEqual(patterns, ["db: touch /tmp/x", "web-1: touch /tmp/x", "web-2: touch /tmp/x"])
  assert.deepEqual(always, patterns)
  assert.deepEqual(metadata.openshell.servers, FLEET.servers)
  const line = wording({ ...FLEET, simple: false, segments: ["a", "b"] })
  assert.equal(line.patterns.length, 6)
  assert.deepEqual(line.always, [])
  const foreign = { ...FLEET, scope: "workspace", servers: FLEET.servers.map((place) => (place.server === "db" ? { ...place, scope: "workspace" } : place)) }
  assert.match(wording(foreign).permission, /\ndb: of this WORKSPACE, root@192\.0\.2\.1,/)
})

test("servers that are alike are named together, and more groups than rows share them", () => {
  const web = (at) => ({ server: `web-${at}`, host: `192.0.2.${at}`, port: 2200, user: "deploy", labels: ["web"], scope: "global" })
  const alike = wording({ ...FLEET, server: "web-[10-49]", servers: Array.from({ length: 40 }, (_, at) => web(at + 10)), besides: [] })
  assert.match(alike.permission, /^remote_exec 40 servers .*\n.*\ndeploy@192\.0\.2\.\[10-49\]:2200, labels: web$/)
  const own = Array.from({ length: 8 }, (_, at) => ({ ...web(at), port: 22, labels: [`own${at}`] }))
  const crowded = wording({ ...FLEET, server: "web-[0-7]", servers: own, besides: [] }).permission
  assert.ok(fitsTitle(crowded))
  for (const at of own.keys()) assert.ok(crowded.includes(`web-${at}: deploy@192.0.2.${at}, labels: own${at}`), crowded)
})

test("a call on several servers has a short title", () => {
  assert.equal(titleOf("remote_exec", { server: ["a", "b"], command: "uptime" }), "2 servers$ uptime")
  assert.equal(titleOf("remote_stat", { server: ["a"], path: "/x" }), "a:/x")
  assert.equal(titleOf("remote_exec", { server: "label:web", command: "uptime" }), "label:web$ uptime")
})
