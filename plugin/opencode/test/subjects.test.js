//! What rules and patterns are held against: one form that allows, every form that forbids.

import assert from "node:assert/strict"
import { test } from "node:test"
import { forbiddable, namesAccount, patternsOf, rulesMayAnswer, subjectOf } from "../lib/subjects.js"
import { behindSudo } from "../lib/sudo.js"

const EXEC = { kind: "exec", server: "a", command: "./x y", rawCommand: "./x y", simple: true }
const WRITE = { kind: "write", server: "a", path: "/etc/motd" }
const READ = { kind: "read", server: "a", path: "/etc/shadow" }
const ROOT = { as: ["root"] }
const sudo = (command, more) => ({ ...EXEC, ...ROOT, command, rawCommand: command, ...more })

test("a rule that allows sees the command as it is, its directory and the account", () => {
  const table = [
    [EXEC, "a: ./x y"],
    [{ ...EXEC, cwd: "/srv" }, "a: cd /srv && ./x y"],
    [{ ...EXEC, cwd: "/srv/it's" }, "a: cd '/srv/it'\\''s' && ./x y"],
    [{ ...EXEC, command: "a\\u{a}b", rawCommand: "a\nb" }, "a: a\nb"],
    [sudo("sudo -n id", { cwd: "/srv" }), "a: cd /srv && sudo -n id"],
    [{ ...WRITE, ...ROOT }, "ssh://root@a/etc/motd"],
    [{ ...READ, ...ROOT }, "root@a:/etc/shadow"],
    [READ, "a:/etc/shadow"],
  ]
  for (const [question, expected] of table) assert.equal(subjectOf(question), expected)
})

test("a rule that forbids, and a pattern, may leave out directory and account", () => {
  const table = [
    [EXEC, ["a: ./x y"]],
    [{ ...EXEC, cwd: "/srv" }, ["a: cd /srv && ./x y", "a: ./x y"]],
    [sudo("sudo -n rm x"), ["a: sudo -n rm x", "a: rm x"]],
    [sudo("sudo -n rm x", { cwd: "/srv" }), ["a: cd /srv && sudo -n rm x", "a: sudo -n rm x", "a: cd /srv && rm x", "a: rm x"]],
    [{ ...WRITE, ...ROOT }, ["ssh://root@a/etc/motd", "ssh://a/etc/motd"]],
    [{ ...READ, ...ROOT }, ["root@a:/etc/shadow", "a:/etc/shadow"]],
  ]
  for (const [question, expected] of table) {
    assert.deepEqual(forbiddable(question), expected.map((subject) => ({ subject, exact: expected[0] })))
    assert.deepEqual(patternsOf(question), expected)
  }
  const line = sudo("ls && sudo -n rm x", { simple: false, segments: ["ls", "sudo -n rm x"] })
  assert.deepEqual(patternsOf(line), ["a: ls", "a: sudo -n rm x", "a: rm x"])
  assert.deepEqual(forbiddable(line).map(({ subject }) => subject), ["a: ls && sudo -n rm x", "a: rm x", "a: ls", "a: sudo -n rm x"])
  const fleet = { ...READ, ...ROOT, servers: [{ server: "a" }, { server: "b" }] }
  assert.deepEqual(patternsOf(fleet), ["root@a:/etc/shadow", "a:/etc/shadow", "root@b:/etc/shadow", "b:/etc/shadow"])
})

test("the command behind sudo is found behind every option", () => {
  const table = [
    ["sudo -n rm x", ["rm x"]],
    ["/usr/bin/sudo -n -- rm x", ["rm x"]],
    ["sudo -nu www rm x", ["rm x"]],
    ["sudo -n -uwww rm x", ["rm x"]],
    ["sudo -n --user www --group=adm rm x", ["rm x"]],
    ["sudo -n --us www rm x", ["rm x"]],
    ["sudo --preserve-env=A -n A=1 B='2 3' rm x", ["rm x"]],
    ["sudo -n -p 'a b' rm x", ["rm x"]],
    ["'sudo' -n rm x", ["rm x"]],
    ["env A=b sudo -n rm x", ["rm x"]],
    ["sudo -n sudo -n rm x", ["sudo -n rm x", "rm x"]],
    ["ls;sudo -n rm x", ["rm x"]],
    ["sudo -n", []],
    ["visudo -c", []],
    ["rm x", []],
  ]
  for (const [line, expected] of table) assert.deepEqual(behindSudo(line), expected, line)
})

test("a rule answers only where the directory cannot be read as something else", () => {
  const table = [
    [{}, true],
    [{ cwd: "/srv/app-1.2" }, true],
    [{ cwd: "/srv/../etc" }, false],
    [{ cwd: "/srv && ./x" }, false],
    [{ cwd: "/srv/*" }, false],
    [{ simple: false }, false],
  ]
  for (const [more, expected] of table) assert.equal(rulesMayAnswer({ ...EXEC, ...more }), expected, JSON.stringify(more))
  assert.equal(rulesMayAnswer(WRITE), true)
})

test("only a rule that names sudo or the account speaks of what runs as another", () => {
  const exec = sudo("sudo -n id")
  const there = sudo("sudo -n id", { cwd: "/srv" })
  const write = { ...WRITE, ...ROOT }
  const table = [
    [exec, "a: sudo -n id", true],
    [exec, "*: sudo -n *", true],
    [exec, "a: *", false],
    [exec, "*", false],
    [exec, "a: s*", false],
    [there, "a: cd /srv && sudo -n id", true],
    [there, "a: cd /srv && *", false],
    [there, "a: cd * && sudo -n id", false],
    [write, "ssh://root@a/etc/*", true],
    [write, "ssh://*", false],
    [WRITE, "ssh://*", true],
  ]
  for (const [question, pattern, expected] of table) assert.equal(namesAccount(question, pattern), expected, pattern)
})
