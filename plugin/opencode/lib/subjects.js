//! What an operation is called where rules speak about it.
//!
//! Owns the subjects of rules and the patterns of a question. Invariants: a rule that
//! allows is held against one form only, which says the account and the directory; a
//! rule that forbids against every form in which a person may have written it.
//! It matches no rule; `rules.js` does.

import { behindSudo } from "./sudo.js"
import { visible } from "./visible.js"

/** The ids a question is about. */
export function idsOf({ server, servers }) {
  return servers?.length ? servers.map((place) => place.server) : [server]
}

/**
 * What the operation is called where a rule allows it, without any escaping:
 * `<server>: <command>`, `<server>: cd <directory> && <command>`, `<server>:<path>` or
 * `ssh://<server><path>`, with `<account>@` before the server of a file that is worked
 * on as another account.
 */
export function subjectOf(question, server = question.server) {
  return formsOf(question, server)[0]
}

/** The same on each server the operation is about. */
export function wholesOf(question) {
  return idsOf(question).map((server) => subjectOf(question, server))
}

/**
 * Every subject a rule that forbids may speak of: the operation, of a command line each
 * of the commands in it, and each of them without its directory and account too.
 * @returns {{subject: string, exact: string}[]} `exact` is the form that says all.
 */
export function forbiddable(question) {
  const texts = question.kind === "exec" ? [undefined, ...(question.segments ?? [])] : [undefined]
  const found = new Map()
  for (const server of idsOf(question)) {
    for (const text of texts) {
      const forms = formsOf(question, server, text)
      for (const subject of forms) if (!found.has(subject)) found.set(subject, { subject, exact: forms[0] })
    }
  }
  return [...found.values()]
}

/**
 * The patterns of a question, made visible: every form of the operation, or of each
 * command of a line, on every server, so that a rule about one of them counts.
 */
export function patternsOf(question) {
  const lines = question.kind === "exec" && (question.segments?.length ?? 0) > 1
  const texts = lines ? question.segments : [question.kind === "exec" ? question.command : undefined]
  const forms = idsOf(question).flatMap((server) => texts.flatMap((text) => formsOf(question, server, text)))
  // A command was escaped by the helper, which leaves its line feeds.
  return [...new Set(question.kind === "exec" ? forms : forms.map(visible))]
}

// The form that says all comes first.
function formsOf(question, server, text = question.rawCommand ?? question.command) {
  const { kind, path, as } = question
  if (kind === "exec") {
    const commands = as?.length ? [text, ...behindSudo(text)] : [text]
    return commands.flatMap((command) => [...new Set([`${server}: ${entering(question)}${command}`, `${server}: ${command}`])])
  }
  const places = as?.length ? [`${as.join("+")}@${server}`, server] : [server]
  return places.map((place) => (kind === "read" ? `${place}:${path}` : `ssh://${place}${path}`))
}

// What a person would type to get there.
function entering({ cwd }) {
  if (!cwd) return ""
  const quoted = isPlain(cwd) ? cwd : `'${cwd.replaceAll("'", "'\\''")}'`
  return `cd ${quoted} && `
}

function isPlain(cwd) {
  return /^[\w/.,:@%+=-]+$/.test(cwd)
}

/**
 * Whether more may stand in a question than its rule or "always" speaks of: a
 * pattern such as `staging: git pull*` also covers `git pull; rm -rf /`.
 */
export function mayHoldMore({ kind, simple }) {
  return kind === "exec" && !simple
}

/**
 * Whether a rule of the person's may answer. Not where the directory is one that could
 * be read as part of the command, or leads back out of the one that a rule names.
 */
export function rulesMayAnswer(question) {
  const { kind, cwd } = question
  const certain = kind !== "exec" || !cwd || (isPlain(cwd) && !cwd.split("/").includes(".."))
  return certain && !mayHoldMore(question)
}

/**
 * Whether a rule's pattern speaks of what runs as another account: it names
 * sudo, or the account, before anything in it is left open.
 */
export function namesAccount(question, pattern) {
  const { kind, as } = question
  if (!as?.length) return true
  if (kind !== "exec") return pattern.replace(/^ssh:\/\//, "").startsWith(`${as.join("+")}@`)
  const fixed = pattern.replace(/^[^:]*: /, ": ").split(/[*?]/, 1)[0]
  return fixed.startsWith(`: ${entering(question)}sudo `)
}
