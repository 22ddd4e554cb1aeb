//! The wording of a question: from what the helper wants to do to what
//! OpenCode shows.
//!
//! Owns the permission keys and metadata. Invariants: a change is worded for the
//! diff view only if its title is shown whole there, no local rule's key or path
//! can mean a remote thing, and "always" remembers nothing but this exact text.
//! It decides nothing; whether a title of ours is shown whole is for the asker
//! to look at.

import { groupsOf } from "./fleet.js"
import { mayHoldMore, patternsOf } from "./subjects.js"
import { fitsAboveDiff, fitsTitle } from "./title.js"
import { visible } from "./visible.js"

/**
 * The request to put before the person.
 * @returns {{permission: string, patterns: string[], always: string[], metadata: object}}
 */
export function wording(question) {
  if (question.kind !== "write" || !question.diff) return titleWording(question)
  const edit = editWording(question)
  return fitsAboveDiff(edit.metadata.filepath) ? edit : plainWording(question)
}

/**
 * The same question under a key of our own, for when the first one was passed
 * silently or the diff view would not show its title whole. There is no diff view
 * then, so the diff is part of the text.
 */
export function plainWording(question) {
  return titleWording(question, question.diff ? hunksOf(question.diff) : undefined)
}

// OpenCode shows a coloured diff for its own `edit` key only. The path is
// never bare: what OpenCode believes to be a local path it may read or patch.
// What must be seen stands before it, since a title is cut at its end.
function editWording(question) {
  const { server, path, diff, created } = question
  return {
    permission: "edit",
    patterns: patternsOf(question),
    always: [],
    metadata: {
      filepath: standing(question) + visible(`${server}:${path}`),
      diff: created ? unappliable(diff) : diff,
      ...facts(question),
    },
  }
}

/** What a call is about, for the line that stands for it in the conversation. */
export function titleOf(tool, { server, command, path }) {
  if (Array.isArray(server)) server = server.length === 1 ? String(server[0]) : `${server.length} servers`
  if (typeof server !== "string") return tool
  if (typeof command === "string") return visible(`${server}$ ${command.split("\n", 1)[0]}`)
  return typeof path === "string" ? visible(`${server}:${path}`) : `${tool} ${visible(server)}`
}

function titleWording(question, details) {
  const { kind, command, path, as, servers } = question
  const server = servers?.length ? `${servers.length} servers (${question.server})` : question.server
  const head = kind === "exec" ? `remote_exec ${server}$ ${command}` : `remote_${kind} ${visible(`${server}:${path}`)}${notes(question)}`
  const text = (groups) => [head, circumstances(question), groups, details].filter(Boolean).join("\n")
  const groups = (servers ?? []).length ? groupLines(servers) : []
  const rows = text(groups.join("\n"))
  // A row to each group where there is room, also for the line of a confirmation.
  const permission = fitsTitle(`${rows}\n`) ? rows : text(groups.join("; "))
  const patterns = patternsOf(question)
  return {
    permission,
    patterns,
    // OpenCode remembers key and pattern as wildcards, in which these
    // characters would mean more than themselves.
    always: kind !== "write" && !as?.length && !mayHoldMore(question) && !/[*?\\]/.test([permission, ...patterns].join()) ? patterns : [],
    metadata: facts(question),
  }
}

function circumstances({ host, port, user, labels, cwd, shell, reason, as, scope, servers, besides }) {
  // Of several servers, their groups say these.
  const one = servers?.length ? [] : whoAndWhere({ user, host, port, workspace: scope === "workspace" && "a server of this WORKSPACE" })
  const where = [
    as?.length && `AS ${as.join(", ")}`,
    ...one,
    cwd && `in ${cwd}`,
    shell && shell !== "none" && `by ${shell}`,
    !servers?.length && labelled(labels),
    besides?.length && `and where nobody has to agree: ${besides.join(" ")}`,
  ]
  return visible([where.filter(Boolean).join(", "), reason].filter(Boolean).join(" | "))
}

function groupLines(servers) {
  const groups = groupsOf(servers)
  return groups.map(({ ids, hosts, user, port, labels, workspace }) => {
    const said = [...whoAndWhere({ user, host: hosts, port, workspace: workspace && "of this WORKSPACE" }), labelled(labels)]
    const line = said.filter(Boolean).join(", ")
    // The first line has the ids of all.
    return visible(groups.length > 1 ? `${ids}: ${line}` : line)
  })
}

function whoAndWhere({ user, host, port, workspace }) {
  // Behind a list of addresses a port would seem to be that of the last one.
  const at = host?.includes(",") ? ` port ${port}` : `:${port}`
  const address = host && port && port !== 22 ? host + at : host
  return [workspace, user && address ? `${user}@${address}` : address]
}

function labelled(labels) {
  return labels?.length && `labels: ${labels.join(", ")}`
}

// The helper's summary tells sizes and modes, which no diff shows.
function notes({ what, summary, notAtomic }) {
  const said = [what !== "content" && what, summary, notAtomic && "NOT ATOMIC"].filter(Boolean)
  return said.length ? visible(` (${said.join("; ")})`) : ""
}

// For the diff view, which shows no circumstances.
function standing({ as, scope, notAtomic, what, summary, labels }) {
  const said = [
    as?.length && `AS ${as.join(", ")}`,
    scope === "workspace" && "a server of this WORKSPACE",
    notAtomic && "NOT ATOMIC",
    what !== "content" && what,
    summary,
    labelled(labels),
  ].filter(Boolean)
  return said.length ? visible(`(${said.join("; ")}) `) : ""
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

// Without the two lines in which the helper names the file. Any later line may be
// content, whatever it begins with.
function hunksOf(diff) {
  return diff.replace(/^--- .*\n\+\+\+ .*\n/, "").replace(/\n$/, "")
}
