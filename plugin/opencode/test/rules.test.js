//! Tables over the rules: what a floor does to a configuration, and whose
//! word counts for remote work.

import assert from "node:assert/strict"
import { test } from "node:test"
import { addFloors, confirmKey, deciding, remoteVerdict, rulesFor, rulesOf, wildcard } from "../lib/rules.js"

const NONCE = "n0nce"

function floored(permission, agent) {
  const config = structuredClone({ permission, agent })
  addFloors(config, { nonce: NONCE, guarded: ["/srv/keys"] })
  return config
}

function action(config, key, pattern, agent) {
  return deciding(rulesFor(config, agent), key, pattern)?.action
}

test("the wildcard match is OpenCode's", () => {
  const table = [
    ["remote_exec a$ ls", "remote_exec *", true],
    ["remote_exec", "remote_exec *", true],
    ["remote_exec", "remote_exec ?*", false],
    ["a\nb", "a*b", true],
    ["a/b", "a?b", true],
    ["a\\b", "a/b", true],
    ["axb", "a.b", false],
    ["prod: rm -rf /", "prod: rm *", true],
    ["prod: rm", "prod: rm *", true],
    ["(a|b)", "(a|b)", true],
  ]
  for (const [text, pattern, expected] of table) assert.equal(wildcard(text, pattern), expected, `${text} ~ ${pattern}`)
})

test("floors turn a silent pass into a question", () => {
  for (const permission of [undefined, "allow", { "*": "allow" }, { "remote_exec ?*": "allow", "edit*": "allow", "bash*": { "*openshell*": "allow" } }]) {
    const config = floored(permission)
    assert.equal(action(config, "remote_exec a$ rm x", "a: rm x"), "ask")
    assert.equal(action(config, "remote_read a:/etc/shadow", "a:/etc/shadow"), "ask")
    assert.equal(action(config, "edit", "ssh://a/etc/motd"), "ask")
    assert.equal(action(config, "bash", "openshell call x --yes"), "ask")
    assert.equal(action(config, "bash", "cat /srv/keys/master"), "ask")
    assert.equal(action(config, "external_directory", "/home/u/.config/openshell/*"), "ask")
    assert.equal(action(config, confirmKey("remote_write a:/x", NONCE), "ssh://a/x"), "ask")
  }
})

test("a floor stands behind every rule, also where its own key was there before", () => {
  const permission = { "remote_exec ?*": "allow", "edit*": { "ssh://*": "allow" }, "*": "allow" }
  const config = floored(permission)
  assert.equal(action(config, "remote_exec a$ rm x", "a: rm x"), "ask")
  assert.equal(action(config, "edit", "ssh://a/x"), "ask")
})

test("floors leave local work alone", () => {
  const config = floored({ edit: { "*": "deny", "src/*": "allow" }, bash: { "*": "ask", "git *": "allow" } })
  assert.equal(action(config, "edit", "src/a.js"), "allow")
  assert.equal(action(config, "edit", "README.md"), "deny")
  assert.equal(action(config, "bash", "git status"), "allow")
  assert.equal(action(config, "bash", "make"), "ask")
})

test("no floor is milder than a rule", () => {
  const table = [
    [{ bash: { "*": "deny", "git *": "allow" } }, "bash", "openshell call x"],
    [{ bash: { "*openshell*": "deny" } }, "bash", "openshell call x"],
    [{ bash: { "openshell undo*": "deny" } }, "bash", "openshell undo a /x"],
    [{ edit: { "*": "deny", "src/*": "allow" } }, "edit", "ssh://a/x"],
    [{ edit: { "ssh://prod*": "deny" } }, "edit", "ssh://prod-a/x"],
    [{ "*": "deny" }, "bash", "openshell"],
    [{ "remote_exec ?*": { "a: *": "deny" } }, "remote_exec a$ ls", "a: ls"],
  ]
  for (const [permission, key, pattern] of table) {
    assert.equal(action(floored(permission), key, pattern), "deny", JSON.stringify(permission))
  }
})

test("a tool that was hidden stays hidden", () => {
  // OpenCode hides a tool whose last matching rule denies every pattern.
  const hidden = (config, tool) => {
    const last = rulesOf(config.permission).findLast((rule) => wildcard(tool, rule.key))
    return last?.action === "deny" && last.pattern === "*"
  }
  assert.ok(hidden(floored({ "*": "deny" }), "remote_exec"))
  assert.ok(hidden(floored({ edit: "deny" }), "edit"))
  assert.ok(hidden(floored({ bash: "deny" }), "bash"))
  assert.ok(!hidden(floored({ "*": "allow" }), "remote_exec"))
})

test("an agent's section gets the floors too", () => {
  const config = floored({}, { build: { permission: { "*": "allow" } }, other: {} })
  assert.equal(action(config, "remote_exec a$ rm x", "a: rm x", "build"), "ask")
  assert.equal(action(config, "edit", "ssh://a/x", "build"), "ask")
  assert.equal(config.agent.other.permission, undefined)
})

test("only the person's own rules allow, and anybody's forbid", () => {
  const allow = { permission: { remote_exec: { "*": "ask", "staging: *": "allow" } } }
  const deny = { permission: { remote_exec: { "staging: rm*": "deny" } } }
  const verdict = (merged, trusted, subject = "staging: rm x") =>
    remoteVerdict({
      kind: "exec",
      subject,
      agent: "build",
      merged: merged,
      trusted: trusted.map((config) => ({ config })),
    }).decision
  const table = [
    ["the person allows", verdict(allow, [allow]), "allow"],
    ["the project allows", verdict(allow, []), "ask"],
    ["the project forbids", verdict({ permission: { remote_exec: { "staging: *": "allow", "staging: rm*": "deny" } } }, [allow]), "deny"],
    ["the project tightens", verdict({ permission: { remote_exec: { "staging: *": "ask" } } }, [allow]), "ask"],
    ["the person forbids", verdict(allow, [allow, deny]), "deny"],
    ["another server", verdict(allow, [allow], "prod: rm x"), "ask"],
    ["a general rule", verdict({ permission: { "*": "allow" } }, [{ permission: { "*": "allow" } }]), "ask"],
    ["no configuration seen", verdict(undefined, [allow]), "ask"],
    ["everything denied", verdict({ permission: "deny" }, []), "deny"],
  ]
  for (const [name, actual, expected] of table) assert.equal(actual, expected, name)
})

test("another form of an operation is forbidden by a rule that misses the one that says all", () => {
  const verdict = (mine, theirs) =>
    remoteVerdict({
      kind: "write",
      subject: "ssh://a/x",
      exact: "ssh://root@a/x",
      agent: "build",
      merged: { permission: { edit: { ...mine, ...theirs } } },
      trusted: [{ config: { permission: { edit: mine } } }],
    }).decision
  const table = [
    [verdict({ "ssh://a/*": "deny" }), "deny"],
    [verdict({ "ssh://a/*": "deny", "ssh://root@a/*": "allow" }), "deny"],
    [verdict({ "*": "deny", "ssh://root@a/*": "allow" }), "ask"],
    // A project cannot take the person's rule away by one of its own.
    [verdict({ "ssh://a/*": "deny" }, { "ssh://*": "deny", "ssh://root@*": "allow" }), "deny"],
  ]
  for (const [decision, expected] of table) assert.equal(decision, expected)
})

test("a remote write is allowed only by a rule about ssh paths", () => {
  const verdict = (permission) =>
    remoteVerdict({
      kind: "write",
      subject: "ssh://staging/etc/motd",
      agent: "build",
      merged: { permission },
      trusted: [{ config: { permission } }],
    }).decision
  assert.equal(verdict({ edit: "allow" }), "ask")
  assert.equal(verdict({ edit: { "*": "allow" } }), "ask")
  assert.equal(verdict({ edit: { "ssh://staging/*": "allow" } }), "allow")
  assert.equal(verdict({ edit: { "ssh://prod/*": "allow" } }), "ask")
})
