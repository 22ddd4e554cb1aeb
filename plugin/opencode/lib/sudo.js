//! Which command a `sudo` line runs.
//!
//! Owns the reading of sudo's own options, for rules that forbid. It is no shell: what
//! it finds can only forbid more, and the helper alone decides what is run as whom.

/** Options that take the next word as their value where none is joined to them. */
const SHORT = "aCcDghpRrTtUu"
const LONG = ["auth-type", "chdir", "chroot", "close-from", "command-timeout", "group", "host", "login-class", "other-user", "prompt", "role", "type", "user"]

// Quotes are kept together, and an operator ends a word.
const WORD = /(?:[^\s'"\\;|&()]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/gs

/** The rest of the line behind each `sudo` and its options, as it is written. */
export function behindSudo(line) {
  const words = [...line.matchAll(WORD)]
  return words.flatMap((word, at) => {
    if (!/^(?:.*\/)?sudo$/s.test(bare(word[0]))) return []
    const command = words[commandBehind(words, at + 1)]
    return command ? [line.slice(command.index)] : []
  })
}

function commandBehind(words, from) {
  let at = from
  while (at < words.length) {
    const word = bare(words[at][0])
    if (word.startsWith("-")) at += takesNext(word) ? 2 : 1
    else if (/^\w+=/.test(word)) at += 1
    else break
  }
  return at
}

function takesNext(option) {
  if (option.startsWith("--")) {
    // getopt_long(3) takes any beginning of a name.
    const name = option.slice(2)
    return name !== "" && LONG.some((known) => known.startsWith(name))
  }
  const letters = [...option.slice(1)]
  const first = letters.findIndex((letter) => SHORT.includes(letter))
  return first >= 0 && first === letters.length - 1
}

function bare(word) {
  return word.replace(/['"\\]/g, "")
}
