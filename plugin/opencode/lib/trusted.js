//! Reads the OpenCode configuration that a repository cannot write.
//!
//! Owns the list of places that belong to the person rather than to the
//! workspace: the global folder, `~/.opencode`, the managed folder, and what
//! the person's environment names. Invariant: a file whose real path lies in
//! the workspace is never read here, whichever way it was reached.
//! It does not merge like OpenCode does; it only answers "did the person
//! write this", so an entry it cannot read grants nothing.

import { readFileSync, realpathSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, isAbsolute, join, parse, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"

/** This plugin's name as a package. */
const PACKAGE = "openshell-opencode"

/**
 * The directories a repository controls, as real paths. OpenCode reports `/`
 * as the worktree of a folder without git, which would make everything part
 * of the workspace; there only the folder itself counts.
 */
export function workspaceRoots(directory, worktree) {
  const roots = [directory]
  if (worktree && worktree !== parse(worktree).root) roots.push(worktree)
  return [...new Set(roots.filter(Boolean).map(realPath))]
}

/** Whether a path, after every symbolic link was followed, lies in one of the roots. */
export function isInside(path, roots) {
  const real = realPath(path)
  return roots.some((root) => real === root || real.startsWith(root.endsWith(sep) ? root : root + sep))
}

// The name of a file that does not exist yet is resolved through its nearest
// existing parent, so that a link above it is followed all the same.
function realPath(path) {
  const absolute = resolve(path)
  try {
    return realpathSync(absolute)
  } catch {
    const parent = dirname(absolute)
    return parent === absolute ? absolute : join(realPath(parent), absolute.slice(parent.length))
  }
}

/**
 * The person's own configuration documents, weakest first (the order in which
 * OpenCode applies them). Each is `{source, config}`.
 */
export function trustedConfigs({ env, roots }) {
  const home = env.HOME || homedir()
  const globalDir = join(env.XDG_CONFIG_HOME || join(home, ".config"), "opencode")
  const files = ["config.json", "opencode.json", "opencode.jsonc"].map((name) => join(globalDir, name))
  if (env.OPENCODE_CONFIG && isAbsolute(env.OPENCODE_CONFIG)) files.push(env.OPENCODE_CONFIG)
  for (const dir of [join(home, ".opencode"), env.OPENCODE_CONFIG_DIR, managedDir()]) {
    if (dir && isAbsolute(dir)) files.push(join(dir, "opencode.json"), join(dir, "opencode.jsonc"))
  }
  const documents = []
  for (const file of files) {
    if (isInside(file, roots)) continue
    const config = parseConfig(readText(file), env)
    if (config) documents.push({ source: file, config })
  }
  const content = parseConfig(env.OPENCODE_CONFIG_CONTENT, env)
  if (content) documents.push({ source: "OPENCODE_CONFIG_CONTENT", config: content })
  const permission = parseConfig(env.OPENCODE_PERMISSION, env)
  if (permission) documents.push({ source: "OPENCODE_PERMISSION", config: { permission } })
  return documents
}

function managedDir() {
  if (process.platform === "darwin") return "/Library/Application Support/opencode"
  if (process.platform === "win32") return undefined
  return "/etc/opencode"
}

function readText(file) {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

/**
 * Parses JSON with comments, behind a byte order mark or not; anything unreadable, or
 * not an object, is undefined.
 */
export function parseConfig(text, env = {}) {
  if (!text) return undefined
  try {
    const substituted = text.replace(/^\uFEFF/, "").replace(/\{env:([^}]+)\}/g, (_, name) => JSON.stringify(env[name] ?? "").slice(1, -1))
    const value = JSON.parse(stripComments(substituted))
    return value && typeof value === "object" && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

// Strings are matched first, so that what looks like a comment or a trailing
// comma inside one is left alone.
function stripComments(text) {
  const withoutComments = text.replace(
    /("(?:[^"\\]|\\.)*")|\/\/[^\r\n]*|\/\*[\s\S]*?\*\//g,
    (_, string) => string ?? " ",
  )
  return withoutComments.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string) => string ?? "")
}

/**
 * Whether the person's own configuration gives this plugin this very value as
 * `options.command`. Options arrive from OpenCode without saying which file
 * they came from; equality with what stands in a trusted file is the proof. What
 * stands there for another plugin proves nothing.
 */
export function commandIsTrusted(command, documents) {
  const wanted = JSON.stringify(command)
  return documents.some(({ source, config }) =>
    (Array.isArray(config.plugin) ? config.plugin : []).some(
      (entry) => Array.isArray(entry) && namesAdapter(entry[0], source) && JSON.stringify(entry[1]?.command) === wanted,
    ),
  )
}

// By the package's name, or by the directory that holds it or its main file.
function namesAdapter(specifier, source) {
  if (typeof specifier !== "string") return false
  if (specifier === PACKAGE || specifier.startsWith(`${PACKAGE}@`)) return true
  const path = specifier.startsWith("file://") ? pathOf(specifier) : specifier
  // A relative path is one from the file it stands in; any other word is a package.
  if (!isAbsolute(path) && !(path.startsWith(".") && source && isAbsolute(source))) return false
  const found = resolve(dirname(source ?? ""), path)
  const dir = found.endsWith(".js") ? dirname(found) : found
  return parseConfig(readText(join(dir, "package.json")))?.name === PACKAGE
}

function pathOf(url) {
  try {
    return fileURLToPath(url)
  } catch {
    return url
  }
}
