//! Which configuration counts as the person's own, and which program it may name.

import assert from "node:assert/strict"
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { locateHelper, NoHelper } from "../lib/locate.js"
import { commandIsTrusted, isInside, parseConfig, trustedConfigs, workspaceRoots } from "../lib/trusted.js"

function scratch(t) {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "openshell-adapter-")))
  t.after(() => rmSync(dir, { recursive: true }))
  const put = (path, text, mode = 0o644) => {
    mkdirSync(join(dir, path, ".."), { recursive: true })
    writeFileSync(join(dir, path), text)
    chmodSync(join(dir, path), mode)
    return join(dir, path)
  }
  mkdirSync(join(dir, "project"))
  const env = { HOME: join(dir, "home") }
  const roots = workspaceRoots(join(dir, "project"), "/")
  return { dir, put, env, roots, sources: (more) => trustedConfigs({ env: { ...env, ...more }, roots }).map(({ source }) => source) }
}

test("a folder without git is its own workspace, one with git is all of the repository", () => {
  assert.deepEqual(workspaceRoots("/nowhere/a", "/"), ["/nowhere/a"])
  assert.deepEqual(workspaceRoots("/nowhere/a", "/nowhere"), ["/nowhere/a", "/nowhere"])
})

test("a sibling of like name is outside, a link into the workspace is inside", (t) => {
  const { dir, put, roots } = scratch(t)
  put("project-notes/opencode.json", "{}")
  put("project/opencode.json", "{}")
  symlinkSync(join(dir, "project"), join(dir, "link"))
  assert.equal(isInside(join(dir, "project-notes/opencode.json"), roots), false)
  assert.equal(isInside(join(dir, "link/opencode.json"), roots), true)
  assert.equal(isInside(join(dir, "link/not-there-yet"), roots), true)
  assert.equal(isInside(join(dir, "project"), roots), true)
})

test("configuration is read from the person's places, never from the workspace", (t) => {
  const { dir, put, sources } = scratch(t)
  const global = put("home/.config/opencode/opencode.jsonc", "{ // mine\n}")
  const extra = put("elsewhere.json", "{}")
  const inside = put("project/opencode.json", "{}")
  put("home/.config/opencode/config.json", "not json")
  assert.deepEqual(sources({ OPENCODE_CONFIG: extra }), [global, extra])
  assert.deepEqual(sources({ OPENCODE_CONFIG: inside }), [global])
  assert.deepEqual(sources({ OPENCODE_CONFIG_DIR: join(dir, "project") }), [global])
  assert.deepEqual(sources({ OPENCODE_CONFIG_CONTENT: "{}" }), [global, "OPENCODE_CONFIG_CONTENT"])
})

test("a global folder that links into the workspace is the workspace's", (t) => {
  const { dir, put, sources } = scratch(t)
  put("project/dotfiles/opencode.json", "{}")
  mkdirSync(join(dir, "home/.config"), { recursive: true })
  symlinkSync(join(dir, "project/dotfiles"), join(dir, "home/.config/opencode"))
  assert.deepEqual(sources({}), [])
})

test("JSON with comments is read, anything else is nothing", () => {
  const text = '{ /* a */ "url": "http://x//y", "list": ["a", "b,]",], // c\n "n": {"k": "{env:WHO}",}, }'
  assert.deepEqual(parseConfig(text, { WHO: 'me "too"' }), { url: "http://x//y", list: ["a", "b,]"], n: { k: 'me "too"' } })
  for (const bad of ["", "[]", "null", "{", '"text"', undefined]) assert.equal(parseConfig(bad), undefined, bad)
})

test("a byte order mark before a configuration is no part of it", (t) => {
  const { put, env, roots } = scratch(t)
  put("home/.config/opencode/opencode.json", '\uFEFF{"permission": {"edit": "ask"}}')
  assert.deepEqual(trustedConfigs({ env, roots }).map(({ config }) => config), [{ permission: { edit: "ask" } }])
})

test("a command counts only where the person's configuration has the same one", () => {
  const documents = [{ config: { plugin: ["other", ["openshell-opencode", { command: ["/opt/x", "-v"] }]] } }]
  assert.equal(commandIsTrusted(["/opt/x", "-v"], documents), true)
  assert.equal(commandIsTrusted(["/opt/x"], documents), false)
  assert.equal(commandIsTrusted("/opt/x", documents), false)
  assert.equal(commandIsTrusted(["/opt/x", "-v"], [{ config: {} }]), false)
})

test("a command counts only in the entry of this plugin", (t) => {
  const { dir, put } = scratch(t)
  put("mine/package.json", '{"name": "openshell-opencode"}')
  put("theirs/package.json", '{"name": "another"}')
  const source = join(dir, "opencode.json")
  const table = [
    ["openshell-opencode", true],
    ["openshell-opencode@0.1.0", true],
    ["openshell-opencode@file:/x.tgz", true],
    ["openshell-opencode-other", false],
    ["another", false],
    // A word that is no path is the name of a package, whatever lies beside.
    ["mine", false],
    ["./mine", true],
    ["./mine/index.js", true],
    [join(dir, "mine"), true],
    [`file://${join(dir, "mine/index.js")}`, true],
    ["./theirs", false],
    [join(dir, "theirs"), false],
    [`file://${join(dir, "theirs")}`, false],
    [7, false],
  ]
  for (const [entry, expected] of table) {
    assert.equal(commandIsTrusted("/opt/x", [{ source, config: { plugin: [[entry, { command: "/opt/x" }]] } }]), expected, entry)
  }
  const nowhere = [{ source: "OPENCODE_CONFIG_CONTENT", config: { plugin: [["./mine", { command: "/opt/x" }]] } }]
  assert.equal(commandIsTrusted("/opt/x", nowhere), false)
})

test("the helper is found in the order of precedence", (t) => {
  const { dir, put, env, roots } = scratch(t)
  const onPath = put("bin/openshell", "", 0o755)
  const named = put("opt/helper", "", 0o755)
  const planted = put("project/bin/openshell", "", 0o755)
  const locate = (more, command, documents = []) => locateHelper({ command, env: { ...env, ...more }, roots, documents })
  const PATH = [join(dir, "project/bin"), "relative", join(dir, "bin")].join(":")
  assert.deepEqual(locate({ PATH }), [onPath])
  assert.deepEqual(locate({ PATH, OPENSHELL_BIN: named }), [named])
  assert.deepEqual(locate({ PATH }, "/opt/mine", [{ config: { plugin: [["openshell-opencode", { command: "/opt/mine" }]] } }]), ["/opt/mine"])
  assert.throws(() => locate({ PATH }, planted), NoHelper)
  assert.throws(() => locate({ PATH }, []), NoHelper)
  assert.throws(() => locate({ PATH, OPENSHELL_BIN: join(dir, "absent") }), /OPENSHELL_BIN/)
  assert.throws(() => locate({ PATH: join(dir, "project/bin") }), NoHelper)
})
