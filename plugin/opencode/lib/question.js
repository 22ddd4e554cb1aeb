//! The wording of a question: from what the helper wants to do to what
//! OpenCode shows.
//!
//! Owns the permission keys, patterns and metadata. Invariants: a question
//! that cannot be shown whole is not asked, no local rule's key or path can
//! mean a remote thing, and "always" remembers nothing but this exact text.
//! It decides nothing.

/** Rows of a question's title that OpenCode's terminal shows whole. */
const MAX_ROWS = 9
/** Width of such a row on a terminal of 80 columns. */
const COLUMNS = 66
/** What OpenCode writes before the key. */
const TITLE_PREFIX = "Call tool "

// Besides control characters: everything that changes the order or the look
// of its neighbours without being seen itself.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0f]|[^\S ]/gu

/** Makes unseen characters visible as `\u{hex}`. */
export function visible(text) {
  return String(text).replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`)
}

/** Whether a terminal shows the whole text as the title of a question. */
export function fitsTitle(text) {
  const lines = `${TITLE_PREFIX}${text}`.split("\n")
  // The terminal breaks lines at words, and which characters end a word is
  // its own affair; the less favourable of two readings is taken.
  const rows = (words) => lines.reduce((sum, line) => sum + wrappedRows(line.match(words) ?? [""]), 0)
  return Math.max(rows(/\S+\s*|\s+/g), rows(/\w+\W*|\W+/g)) <= MAX_ROWS
}

function wrappedRows(words) {
  let rows = 1
  let used = 0
  for (const word of words) {
    if (used > 0 && used + word.length > COLUMNS) {
      rows += 1
      used = 0
    }
    used += word.length
    // A word longer than a row is cut wherever the row ends.
    rows += Math.ceil(used / COLUMNS) - (used > 0 ? 1 : 0)
    used -= COLUMNS * (Math.ceil(used / COLUMNS) - 1)
  }
  return rows
}

/** The ids a question is about. */
function idsOf({ server, servers }) {
  return servers?.length ? servers.map((place) => place.server) : [server]
}

/** What the operation is called on each server it is about. */
export function wholesOf(question) {
  return idsOf(question).map((server) => subjectOf(question, server))
}

/**
 * What the operation is called in rules and in the record, without any
 * escaping: `<server>: <command>`, `<server>:<path>` or `ssh://<server><path>`,
 * with `<account>@` before the server of a file that is worked on as another account.
 */
export function subjectOf(question, server = question.server) {
  const { kind, rawCommand, command, path, as } = question
  if (kind === "exec") return `${server}: ${rawCommand ?? command}`
  const place = as?.length ? `${as.join("+")}@${server}` : server
  return kind === "read" ? `${place}:${path}` : `ssh://${place}${path}`
}

/**
 * Whether a rule's pattern speaks of what runs as another account: it names
 * sudo, or the account, before anything in it is left open.
 */
export function namesAccount({ kind, as }, pattern) {
  if (!as?.length) return true
  const fixed = pattern.replace(/^[^:]*: /, ": ").split(/[*?]/, 1)[0]
  if (kind === "exec") return fixed.startsWith(": sudo ")
  return pattern.replace(/^ssh:\/\//, "").startsWith(`${as.join("+")}@`)
}

/**
 * Every subject a rule that forbids may speak of: the operation, and of a command
 * line each of the commands in it.
 */
export function subjectsOf(question) {
  return [...new Set([...wholesOf(question), ...segmentPatterns(question)])]
}

function segmentPatterns(question) {
  if (question.kind !== "exec") return []
  return idsOf(question).flatMap((server) => (question.segments ?? []).map((segment) => `${server}: ${segment}`))
}

/**
 * The request to put before the person.
 * @returns {{permission: string, patterns: string[], always: string[], metadata: object}}
 */
export function wording(question) {
  return question.kind === "write" && question.diff ? editWording(question) : titleWording(question)
}

/**
 * The same question under a key of our own, for when the first one was passed
 * silently. It has no diff view, so the diff is part of the text.
 */
export function plainWording(question) {
  return titleWording(question, question.diff ? hunksOf(question.diff) : undefined)
}

// OpenCode shows a coloured diff for its own `edit` key only. The path is
// never bare: what OpenCode believes to be a local path it may read or patch.
function editWording(question) {
  const { server, path, diff, created } = question
  return {
    permission: "edit",
    patterns: [visible(subjectOf(question))],
    always: [],
    metadata: {
      filepath: visible(`${server}:${path}`) + notes(question) + visible(standing(question)),
      diff: created ? unappliable(diff) : diff,
      ...facts(question),
    },
  }
}

/**
 * Whether more may stand in a question than its rule or "always" speaks of: a
 * pattern such as `staging: git pull*` also covers `git pull; rm -rf /`.
 */
export function mayHoldMore({ kind, simple }) {
  return kind === "exec" && !simple
}

/** What a call is about, for the line that stands for it in the conversation. */
export function titleOf(tool, { server, command, path }) {
  if (Array.isArray(server)) server = server.length === 1 ? String(server[0]) : `${server.length} servers`
  if (typeof server !== "string") return tool
  if (typeof command === "string") return visible(`${server}$ ${command.split("\n", 1)[0]}`)
  return typeof path === "string" ? visible(`${server}:${path}`) : `${tool} ${visible(server)}`
}

function titleWording(question, details) {
  const { kind, command, path, as } = question
  const server = question.servers?.length ? `${question.servers.length} servers (${question.server})` : question.server
  const head = kind === "exec" ? `remote_exec ${server}$ ${command}` : `remote_${kind} ${visible(`${server}:${path}`)}${notes(question)}`
  const permission = [head, circumstances(question), details].filter(Boolean).join("\n")
  const wholes = idsOf(question).map((id) => (kind === "exec" ? `${id}: ${command}` : visible(subjectOf(question, id))))
  const segments = segmentPatterns(question)
  return {
    permission,
    // One pattern for every command of a line on every server, so that a rule
    // about one of them counts.
    patterns: (question.segments?.length ?? 0) > 1 && kind === "exec" ? segments : wholes,
    // OpenCode remembers key and pattern as wildcards, in which these
    // characters would mean more than themselves.
    always: kind !== "write" && !as?.length && !mayHoldMore(question) && !/[*?\\]/.test([permission, ...wholes].join()) ? wholes : [],
    metadata: facts(question),
  }
}

function circumstances({ host, port, user, labels, cwd, shell, reason, as, scope, servers, besides }) {
  const address = port && port !== 22 ? `${host}:${port}` : host
  const foreign = (servers ?? []).filter((place) => place.scope === "workspace").map((place) => place.server)
  const where = [
    as?.length && `AS ${as.join(", ")}`,
    scope === "workspace" && (foreign.length ? `of this WORKSPACE: ${foreign.join(" ")}` : "a server of this WORKSPACE"),
    user && host ? `${user}@${address}` : address,
    cwd && `in ${cwd}`,
    shell && shell !== "none" && `by ${shell}`,
    labels?.length && `labels: ${labels.map((label) => counted(label, servers)).join(", ")}`,
    besides?.length && `and where nobody has to agree: ${besides.join(" ")}`,
  ]
  return visible([where.filter(Boolean).join(", "), reason].filter(Boolean).join(" | "))
}

// On how many of the servers a label is, where there are several.
function counted(label, servers) {
  const count = (servers ?? []).filter((place) => place.labels?.includes(label)).length
  return count ? `${label} (${count})` : label
}

// The helper's summary tells sizes and modes, which no diff shows.
function notes({ what, summary, notAtomic }) {
  const said = [what !== "content" && what, summary, notAtomic && "NOT ATOMIC"].filter(Boolean)
  return said.length ? visible(` (${said.join("; ")})`) : ""
}

// For the diff view, which shows no circumstances.
function standing({ as, scope, labels }) {
  const said = [
    as?.length && `AS ${as.join(", ")}`,
    scope === "workspace" && "a server of this WORKSPACE",
    labels?.length && `labels: ${labels.join(", ")}`,
  ].filter(Boolean)
  return said.length ? ` (${said.join("; ")})` : ""
}

// OpenCode cannot list its pending questions once the metadata of one holds
// an undefined, which is no JSON.
function facts({ server, servers, besides, host, port, user, labels, scope, as, reason, rule, cwd, shell, timeoutMs, digest }) {
  return JSON.parse(JSON.stringify({ openshell: { server, servers, besides, host, port, user, labels, scope, as, reason, rule, cwd, shell, timeoutMs, digest } }))
}

// An editor that speaks ACP applies an approved diff to the local file of
// that name. A context line that no empty file has makes that fail.
function unappliable(diff) {
  return diff.replace(/^@@ -0,0 \+1(?:,(\d+))? @@.*$/m, (_, count = "1") => `@@ -1,1 +1,${Number(count) + 1} @@\n (new file)`)
}

function hunksOf(diff) {
  return diff
    .split("\n")
    .filter((line) => line && !/^(---|\+\+\+) /.test(line))
    .join("\n")
}
