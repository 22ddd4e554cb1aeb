//! Permission rules: how OpenCode reads them, and which of them speak about
//! remote work.
//!
//! Owns the matching of rules and the floors added to a configuration.
//! Invariants: a floor never makes a decision milder than the person's own
//! rules made it, and an "allow" counts only where the person wrote it, for
//! our own key by name, outside the workspace.
//! It asks nobody; `ask.js` does.

/** Names under which a person writes rules, by kind of question. */
const RULE_KEY = { exec: "remote_exec", read: "remote_read", write: "edit" }

/**
 * OpenCode's wildcard match: `*` is any text, `?` any character, both cross
 * `/` and newlines, a trailing ` *` also matches nothing, and a backslash
 * counts as a slash.
 */
export function wildcard(text, pattern) {
  let source = pattern
    .replaceAll("\\", "/")
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".")
  if (source.endsWith(" .*")) source = `${source.slice(0, -3)}( .*)?`
  return new RegExp(`^${source}$`, "s").test(text.replaceAll("\\", "/"))
}

/** Flattens a `permission` section into `{key, pattern, action}`, in order. */
export function rulesOf(permission) {
  if (typeof permission === "string") return [{ key: "*", pattern: "*", action: permission }]
  const rules = []
  for (const [key, value] of Object.entries(permission ?? {})) {
    if (typeof value === "string") rules.push({ key, pattern: "*", action: value })
    else for (const [pattern, action] of Object.entries(value ?? {})) rules.push({ key, pattern, action })
  }
  return rules
}

/** The rule that decides: the last one that matches. */
export function deciding(rules, key, pattern) {
  return rules.findLast((rule) => wildcard(key, rule.key) && wildcard(pattern, rule.pattern))
}

/** Rules of one configuration for one agent: the general section, then the agent's own. */
export function rulesFor(config, agent) {
  return [...rulesOf(config?.permission), ...rulesOf(config?.agent?.[agent]?.permission)]
}

/**
 * What the rules say about a remote operation.
 * @param subject one form of what it is called; `exact` is the form that says all. A
 *   rule that speaks of both was judged with the rules behind it for the exact form,
 *   so another form forbids only by a rule that misses the exact one.
 * @returns {{decision: "allow"|"ask"|"deny", rule?: {key: string, pattern: string}}}
 *   `allow` only for a rule that names our key (or an `ssh://` path), written
 *   by the person; `deny` whoever wrote it.
 */
export function remoteVerdict({ kind, subject, exact = subject, agent, merged, trusted }) {
  const key = RULE_KEY[kind]
  const forbids = (rule) => rule?.action === "deny" && (subject === exact || !wildcard(exact, rule.pattern))
  const said = deciding(rulesFor(merged, agent), key, subject)
  if (forbids(said)) return { decision: "deny", rule: said }
  const own = deciding(
    trusted.flatMap(({ config }) => rulesFor(config, agent)),
    key,
    subject,
  )
  if (forbids(own)) return { decision: "deny", rule: own }
  const named = own && (kind === "write" ? own.key === key && own.pattern.startsWith("ssh://") : own.key === key)
  // A milder rule of the workspace changes nothing, a stricter one does.
  if (named && own.action === "allow" && said?.action === "allow") return { decision: "allow", rule: own }
  return { decision: "ask" }
}

/**
 * Adds the floors to a merged configuration, in place, as the last rules of
 * every section that has any: OpenCode allows an unknown key silently, and
 * the last matching rule wins.
 * @param nonce names this process's own confirmation key, which nobody could
 *   have written a rule for.
 * @param guarded further texts that make a local shell command ask.
 */
export function addFloors(config, { nonce, guarded = [] }) {
  config.permission = withFloors(config.permission, [], { nonce, guarded })
  const general = rulesOf(config.permission)
  for (const section of Object.values(config.agent ?? {})) {
    if (section?.permission) section.permission = withFloors(section.permission, general, { nonce, guarded })
  }
}

function withFloors(permission, inherited, { nonce, guarded }) {
  const section = typeof permission === "string" ? { "*": permission } : (permission ?? {})
  const rules = [...inherited, ...rulesOf(section)]
  // `?*` keeps a floor from matching the bare tool name, which would show the
  // tool to agents from whom it is hidden.
  for (const key of ["remote_exec ?*", "remote_read ?*", "remote_write ?*", confirmKey("*", nonce)]) {
    const denied = rulesOf({ [key]: section[key] ?? {} }).filter(({ action }) => action === "deny")
    append(section, key, { "*": "ask", ...asPatterns(denied) })
  }
  if (!deniedOutright(rules, "edit")) {
    append(section, "edit*", { ...asObject(section["edit*"]), ...floorFor(rules, "edit", "ssh://") })
  }
  for (const key of ["bash", "external_directory"]) {
    if (deniedOutright(rules, key)) continue
    const patterns = asObject(section[`${key}*`])
    for (const text of ["openshell", ...guarded]) Object.assign(patterns, floorFor(rules, key, text))
    append(section, `${key}*`, patterns)
  }
  return section
}

// A floor over everything that mentions `text`, followed by what the rules
// say about such texts in particular, an "allow" being no more than "ask".
function floorFor(rules, key, text) {
  const whole = text.endsWith("://") ? `${text}*` : `*${text}*`
  const floor = deciding(rules, key, `${text} x`)?.action === "deny" ? "deny" : "ask"
  const particular = rules.filter((rule) => wildcard(key, rule.key) && rule.pattern.includes(text))
  return { [whole]: floor, ...asPatterns(particular.filter(({ pattern }) => pattern !== whole)) }
}

function asPatterns(rules) {
  const patterns = {}
  for (const { pattern, action } of rules) {
    delete patterns[pattern]
    patterns[pattern] = action === "deny" ? "deny" : "ask"
  }
  return patterns
}

function asObject(value) {
  return typeof value === "string" ? { "*": value } : { ...value }
}

// Object keys keep the place of their first insertion; only one that was
// deleted before moves behind every other rule.
function append(section, key, patterns) {
  delete section[key]
  section[key] = patterns
}

// OpenCode hides a tool whose last rule denies everything; a floor behind
// such a rule would bring the tool back and protects nothing.
function deniedOutright(rules, key) {
  const last = rules.findLast((rule) => wildcard(key, rule.key))
  return last?.pattern === "*" && last.action === "deny"
}

/** The key of a confirmation: the question's text and this process's nonce. */
export function confirmKey(text, nonce) {
  return `${text}\n[confirmation ${nonce}]`
}
