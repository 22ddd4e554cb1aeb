//! Several servers in one question: those that are alike are named together.
//!
//! Owns the groups and how names that differ in a number are written as one.
//! Invariant: no server is left out, and every id and address can be read off what
//! is written. Whether there is room for it is not decided here.

/** Longest run of digits that is taken for a number. */
const MAX_DIGITS = 15

/**
 * The servers of a question by what a person has to know of them: those with the same
 * account, port, labels and origin are one group, in the order of their first one.
 * @returns {{ids: string, hosts: string, user: string, port: number, labels: string[], workspace: boolean}[]}
 */
export function groupsOf(servers) {
  const groups = new Map()
  for (const { server, host, port, user, labels = [], scope } of servers) {
    const alike = { user, port, labels: [...labels].sort(), workspace: scope === "workspace" }
    const key = JSON.stringify(alike)
    const group = groups.get(key) ?? { ...alike, ids: [], hosts: [] }
    groups.set(key, group)
    group.ids.push(server)
    if (host) group.hosts.push(host)
  }
  return [...groups.values()].map((group) => ({ ...group, ids: folded(group.ids), hosts: folded(group.hosts) }))
}

/**
 * Writes names that differ in one number as one: `db,web-[1-3,7]`. Numbers are put
 * together only where they have as many digits, and the number is the one whose
 * folding makes the shortest text.
 */
export function folded(names) {
  const distinct = [...new Set(names)].sort()
  // In such names a bracket or comma of folding could not be told from their own.
  if (distinct.some((name) => /[[\],]/.test(name))) return distinct.join(", ")
  const numbers = Math.max(0, ...distinct.map((name) => runsOf(name).length))
  const readings = Array.from({ length: numbers }, (_, back) => foldedAt(distinct, back))
  return readings.reduce((best, text) => (text.length < best.length ? text : best), distinct.join(","))
}

function runsOf(name) {
  return [...name.matchAll(/[0-9]+/g)]
}

// `back` counts the numbers of a name from its end.
function foldedAt(names, back) {
  const plain = []
  const alike = new Map()
  for (const name of names) {
    const run = runsOf(name).at(-1 - back)
    if (!run || run[0].length > MAX_DIGITS) {
      plain.push(name)
      continue
    }
    const [before, after] = [name.slice(0, run.index), name.slice(run.index + run[0].length)]
    const key = JSON.stringify([before, run[0].length, after])
    const found = alike.get(key) ?? { before, after, digits: run[0].length, numbers: [] }
    alike.set(key, found)
    found.numbers.push(Number(run[0]))
  }
  for (const { before, after, digits, numbers } of alike.values()) {
    const text = rangesOf(numbers, digits)
    plain.push(numbers.length > 1 ? `${before}[${text}]${after}` : `${before}${text}${after}`)
  }
  return plain.sort().join(",")
}

function rangesOf(numbers, digits) {
  const runs = []
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last && last.to + 1 === number) last.to = number
    else runs.push({ from: number, to: number })
  }
  const padded = (number) => String(number).padStart(digits, "0")
  return runs.map(({ from, to }) => (from === to ? padded(from) : `${padded(from)}-${padded(to)}`)).join(",")
}
